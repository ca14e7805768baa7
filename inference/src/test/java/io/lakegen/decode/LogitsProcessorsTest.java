package io.lakegen.decode;

import static io.lakegen.decode.DecodingOptions.DO_SAMPLE;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.model.PackSpec;
import io.lakegen.task.OptionValues;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every processor gives the logits of its Hugging Face namesake. */
class LogitsProcessorsTest {

  static Stream<Arguments> cases() throws IOException {
    JsonNode expected = Fixture.json("logits-processors");
    return Fixture.stream(expected.path("cases"))
        .map(c -> Arguments.of(c.path("name").asText(), c, expected));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void equalsHuggingFace(String name, JsonNode test, JsonNode fixture) {
    ObjectNode given = test.path("options").deepCopy();
    List<Integer> suppress = new ArrayList<>();
    given.path("suppressTokens").forEach(t -> suppress.add(t.asInt()));
    OptionalInt forcedEos =
        given.has("forcedEosTokenId")
            ? OptionalInt.of(given.path("forcedEosTokenId").asInt())
            : OptionalInt.empty();
    int promptLength = fixture.path("promptLength").asInt();
    int maxNewTokens = given.path("maxLength").asInt(promptLength + 20) - promptLength;
    given.remove(List.of("suppressTokens", "forcedEosTokenId", "maxLength"));
    OptionValues options =
        Fixture.options(given).with(DecodingOptions.MAX_NEW_TOKENS, maxNewTokens);
    List<Integer> eos = new ArrayList<>();
    fixture.path("eos").forEach(t -> eos.add(t.asInt()));
    LogitsProcessors processors =
        new LogitsProcessors(
            options,
            new PackSpec.Generation(
                OptionalInt.empty(),
                eos,
                OptionalInt.empty(),
                OptionalInt.empty(),
                OptionalInt.empty(),
                forcedEos,
                suppress,
                100));
    List<DecodeRow> rows =
        Fixture.stream(fixture.path("tokens"))
            .map(t -> row(Fixture.ids(t), promptLength, maxNewTokens))
            .toList();
    float[] expected = Fixture.floats(test.path("logits"));
    try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
      NDArray logits =
          manager.create(
              Fixture.floats(fixture.path("logits")),
              new Shape(rows.size(), expected.length / rows.size()));
      NDArray processed = processors.process(logits, rows);
      float[] actual =
          (options.get(DO_SAMPLE) ? processors.warp(processed) : processed).toFloatArray();
      assertThat(actual).hasSameSizeAs(expected);
      for (int i = 0; i < expected.length; i++) {
        if (Float.isInfinite(expected[i])) {
          assertThat(actual[i]).as("%s at %d", name, i).isEqualTo(expected[i]);
        } else {
          assertThat(actual[i])
              .as("%s at %d", name, i)
              .isBetween(expected[i] - 1e-5f, expected[i] + 1e-5f);
        }
      }
    }
  }

  private static DecodeRow row(long[] tokens, int promptLength, int maxNewTokens) {
    DecodeRequest<Object> request =
        new DecodeRequest<>(Arrays.copyOf(tokens, promptLength), maxNewTokens, 0, null);
    DecodeRow row = new DecodeRow.Group(request, 0, 0).rows.get(0);
    for (int i = promptLength; i < tokens.length; i++) {
      row.append(tokens[i], 0);
    }
    return row;
  }
}
