package io.lakegen.task.generate;

import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.MIN_NEW_TOKENS;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.decode.ContextEncoder;
import io.lakegen.decode.DecodeLoop;
import io.lakegen.decode.DecodeRequest;
import io.lakegen.decode.DecodedSequence;
import io.lakegen.decode.Fixture;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackStore;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInputs;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * A real model, SmolLM2-135M-Instruct, chat template included: greedy tokens equal transformers'.
 * {@code cd model-export && python -m fixtures.smollm2 /tmp/smollm2}, then {@code ./mvnw -pl
 * inference test -Dtest=SmolLm2Test -Dlakegen.smollm2=/tmp/smollm2}
 */
@EnabledIfSystemProperty(named = "lakegen.smollm2", matches = ".+")
class SmolLm2Test {

  @Test
  void greedyTokensEqualTransformers(@TempDir Path store) throws Exception {
    Path folder = Path.of(System.getProperty("lakegen.smollm2")).toAbsolutePath();
    JsonNode expected = new ObjectMapper().readTree(folder.resolve("expected.json").toFile());
    JsonNode greedy = expected.path("cases").path(0);
    int newTokens = greedy.path("options").path("maxNewTokens").asInt();
    // The reference went on where the model would have stopped: all 64 tokens are compared.
    OptionValues options =
        OptionValues.NONE.with(MIN_NEW_TOKENS, newTokens).with(MAX_NEW_TOKENS, newTokens);
    try (LoadedModel model =
        LoadedModel.load(
            new PackStore(store)
                .fetch(folder.resolve("pack").toUri().toString(), new Configuration()),
            Device.cpu(),
            Runtime.getRuntime().availableProcessors())) {
      TextGenerator generator = new Generate().open(model, options, new Budget(16_384));
      List<DecodeRequest<long[]>> requests = new ArrayList<>();
      for (int i = 0; i < expected.path("texts").size(); i++) {
        String text = expected.path("texts").path(i).asText();
        long[] ids = generator.prepare(RowInputs.of("{prompt}", text)).ids();
        assertThat(ids).isEqualTo(Fixture.ids(expected.path("prompts").path(i)));
        requests.add(new DecodeRequest<>(ids, newTokens, 0, ids));
      }
      // Fewer slots than prompts: rows join while others are decoded.
      List<List<DecodedSequence>> decoded =
          new DecodeLoop<>(
                  model,
                  options,
                  ContextEncoder.<long[]>none(),
                  new Budget(4 * 128),
                  DecodeLoop.BudgetUnit.SLOTS)
              .run(requests);
      for (int i = 0; i < decoded.size(); i++) {
        assertThat(decoded.get(i).get(0).tokens())
            .as(expected.path("texts").path(i).asText())
            .isEqualTo(Fixture.ids(greedy.path("sequences").path(i).path(0)));
      }
    }
  }
}
