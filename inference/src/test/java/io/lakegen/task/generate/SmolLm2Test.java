package io.lakegen.task.generate;

import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.MIN_NEW_TOKENS;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.decode.ContextEncoder;
import io.lakegen.decode.DecodeLoop;
import io.lakegen.decode.DecodeRequest;
import io.lakegen.decode.DecodedSequence;
import io.lakegen.decode.Fixture;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.model.PackStore;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInputs;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A real model, SmolLM2-135M-Instruct, chat template included: greedy tokens equal transformers'.
 * {@code cd model-export && python -m fixtures.smollm2 /tmp/smollm2}, then {@code ./mvnw -pl
 * inference test -Dtest=SmolLm2Test -Dlakegen.smollm2=/tmp/smollm2}
 */
@EnabledIfSystemProperty(named = "lakegen.smollm2", matches = ".+")
class SmolLm2Test {
  private static final Path FOLDER = Path.of(System.getProperty("lakegen.smollm2", "."));
  private static final ObjectMapper JSON = new ObjectMapper();
  private static LoadedModel model;
  private static JsonNode expected;

  @BeforeAll
  static void load(@TempDir Path store) throws Exception {
    expected = JSON.readTree(FOLDER.resolve("expected.json").toFile());
    model =
        LoadedModel.load(
            new PackStore(store)
                .fetch(FOLDER.resolve("pack").toUri().toString(), new Configuration()),
            Device.cpu(),
            1);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @Test
  void greedyTokensEqualTransformers() throws Exception {
    assertEqual(expected.path("cases").path(0), "");
  }

  /** Some 300 tokens before every prompt: computed for each, copied, and read from one place. */
  @Test
  void tokensAfterSharedExamplesEqualTransformers() throws Exception {
    StringBuilder examples = new StringBuilder();
    expected.path("examples").forEach(e -> examples.append(e).append('\n'));
    assertEqual(expected.path("cases").path(1), examples.toString());
  }

  /** Packs of less precision, on texts that the model is given. */
  @ParameterizedTest
  @ValueSource(strings = {"pack", "bfloat16", "float16_weights"})
  void perplexityIsThatOfFloat32(String name, @TempDir Path store) throws Exception {
    JsonNode reference = expected.path("perplexity");
    List<long[]> texts = Fixture.stream(reference.path("texts")).map(Fixture::ids).toList();
    try (LoadedModel loaded =
        LoadedModel.load(
            new PackStore(store)
                .fetch(FOLDER.resolve(name).toUri().toString(), new Configuration()),
            Device.cpu(),
            1)) {
      assertThat(Math.exp(loss(loaded, texts)) / reference.path("value").asDouble())
          .isBetween(0.99, 1.01);
    }
  }

  private static double loss(LoadedModel loaded, List<long[]> texts) {
    int rows = texts.size();
    int length = texts.get(0).length;
    PackSpec.Cache spec = loaded.pack().spec().cache().orElseThrow();
    double sum = 0;
    try (NDManager all = loaded.newManager()) {
      NDArray cache =
          all.zeros(new Shape(spec.layers(), 2, rows, spec.heads(), length, spec.headDim()));
      for (int t = 0; t < length - 1; t++) {
        int at = t;
        long[] ids = texts.stream().mapToLong(text -> text[at]).toArray();
        long[] next = texts.stream().mapToLong(text -> text[at + 1]).toArray();
        long[] slots = new long[rows];
        Arrays.fill(slots, t);
        Shape column = new Shape(rows, 1);
        try (NDManager step = loaded.newManager()) {
          NDArray logits =
              loaded
                  .graph("decoder")
                  .run(
                      step.create(ids, column),
                      step.create(slots, column),
                      step.create(new long[rows]),
                      cache,
                      step.zeros(new Shape(spec.layers(), spec.heads(), 0, spec.headDim())),
                      step.zeros(new Shape(spec.layers(), spec.heads(), spec.headDim(), 0)),
                      step.create(new long[rows]))
                  .head();
          sum -= logits.logSoftmax(1).gather(step.create(next, column), 1).sum().getFloat();
        }
      }
    }
    return sum / rows / (length - 1);
  }

  private static void assertEqual(JsonNode greedy, String examples) throws Exception {
    int newTokens = greedy.path("options").path("maxNewTokens").asInt();
    // The reference went on where the model would have stopped: all tokens are compared.
    OptionValues options =
        OptionValues.NONE.with(MIN_NEW_TOKENS, newTokens).with(MAX_NEW_TOKENS, newTokens);
    if (!examples.isEmpty()) {
      options = options.with(Generate.EXAMPLES, examples);
    }
    TextGenerator generator =
        new Generate().open(model, options, new Budget(new Generate().data().budget().cpu()));
    List<DecodeRequest<long[]>> requests = new ArrayList<>();
    for (int i = 0; i < expected.path("texts").size(); i++) {
      String text = expected.path("texts").path(i).asText();
      long[] ids = generator.prepare(RowInputs.of("{prompt}", text)).ids();
      assertThat(ids).isEqualTo(Fixture.ids(greedy.path("prompts").path(i)));
      requests.add(new DecodeRequest<>(ids, newTokens, 0, ids));
    }
    long[] none = {};
    List<DecodedSequence> alone = decode(options, requests, new Unshared(), none);
    List<DecodedSequence> copied = decode(options, requests, ContextEncoder.none(), none);
    long[] common = generator.commonTokens();
    assertThat(common.length > 0).isEqualTo(!examples.isEmpty());
    List<DecodedSequence> shared = decode(options, requests, ContextEncoder.none(), common);
    for (int i = 0; i < requests.size(); i++) {
      String text = expected.path("texts").path(i).asText();
      long[] tokens = Fixture.ids(greedy.path("sequences").path(i).path(0));
      assertThat(alone.get(i).tokens()).as(text).isEqualTo(tokens);
      assertThat(copied.get(i).tokens()).as(text).isEqualTo(tokens);
      assertThat(shared.get(i).tokens()).as(text).isEqualTo(tokens);
    }
    double most = 0;
    for (int i = 0; i < requests.size(); i++) {
      most =
          Math.max(most, Math.abs(copied.get(i).logProbability() - alone.get(i).logProbability()));
    }
    assertThat(most).isZero();
  }

  private static List<DecodedSequence> decode(
      OptionValues options,
      List<DecodeRequest<long[]>> requests,
      ContextEncoder<long[]> encoder,
      long[] common) {
    // Slots for some of the prompts: rows join while others are decoded.
    Budget budget = new Budget(4096);
    return new DecodeLoop<>(model, options, encoder, budget, DecodeLoop.BudgetUnit.SLOTS, common)
        .run(requests).stream().map(s -> s.get(0)).toList();
  }

  /** A causal model that does not say so. */
  private record Unshared() implements ContextEncoder<long[]> {
    @Override
    public NDList encode(List<long[]> inputs, NDArray cache) {
      return new NDList();
    }

    @Override
    public int length(long[] input) {
      return 0;
    }
  }
}
