package io.lakegen.task.generate;

import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.NUM_BEAMS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.ContextEncoder;
import io.lakegen.decode.DecodeLoop;
import io.lakegen.decode.DecodeRequest;
import io.lakegen.decode.DecodedSequence;
import io.lakegen.decode.Fixture;
import io.lakegen.model.PackSpec;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Token ids equal those of transformers' generate, whatever shares the batch. */
class DecodeLoopParityTest {
  private static final List<String> FIXTURES =
      List.of(
          "gpt2",
          "llama",
          "mistral",
          "qwen2",
          "half-weights",
          "gemma3",
          "mixtral",
          "t5",
          "umt5",
          "bart");

  static Stream<Arguments> cases() {
    return FIXTURES.stream()
        .flatMap(
            f ->
                Fixture.stream(Fixture.load(f).expected().path("cases"))
                    .map(c -> Arguments.of(f, c.path("name").asText(), c)));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void equalsTransformers(String fixture, String name, JsonNode expected) {
    Fixture model = Fixture.load(fixture);
    OptionValues options = Fixture.options(expected.path("options"));
    // All rows at once; few slots, so that rows join late; one row (or group of beams) at a time.
    for (int slots : new int[] {64, 3, 1}) {
      long cacheTokens = (long) slots * options.get(NUM_BEAMS) * 64;
      List<List<DecodedSequence>> actual = decode(model, options, cacheTokens);
      for (int row = 0; row < actual.size(); row++) {
        JsonNode sequences = expected.path("sequences").path(row);
        assertThat(actual.get(row)).hasSizeGreaterThanOrEqualTo(sequences.size());
        for (int i = 0; i < sequences.size(); i++) {
          DecodedSequence sequence = actual.get(row).get(i);
          assertThat(sequence.tokens())
              .as("%s, %d slots, row %d, sequence %d", name, slots, row, i)
              .isEqualTo(Fixture.ids(sequences.path(i)));
          assertThat(sequence.reason())
              .isEqualTo(
                  eos(model).contains((int) last(sequence))
                      ? DecodedSequence.FinishReason.eos
                      : DecodedSequence.FinishReason.length);
          if (options.get(NUM_BEAMS) > 1) {
            assertThat(sequence.score())
                .isCloseTo(expected.path("scores").path(row).path(i).asDouble(), within(1e-4));
          }
        }
      }
    }
  }

  private static long last(DecodedSequence sequence) {
    return sequence.tokens()[sequence.tokens().length - 1];
  }

  private static List<Integer> eos(Fixture model) {
    return model.model().pack().spec().generation().orElseThrow().eos();
  }

  private static List<List<DecodedSequence>> decode(
      Fixture fixture, OptionValues options, long cacheTokens) {
    PackSpec.Generation generation = fixture.model().pack().spec().generation().orElseThrow();
    boolean encoderDecoder = fixture.model().hasGraph("encoder");
    List<DecodeRequest<long[]>> requests = new ArrayList<>();
    for (long[] prompt : fixture.prompts()) {
      requests.add(
          new DecodeRequest<>(
              encoderDecoder ? new long[] {generation.decoderStart().orElseThrow()} : prompt,
              options.get(MAX_NEW_TOKENS),
              0,
              prompt));
    }
    ContextEncoder<long[]> encoder =
        encoderDecoder ? new TextEncoder(fixture.model().graph("encoder")) : ContextEncoder.none();
    return new DecodeLoop<>(
            fixture.model(), options, encoder, new Budget(cacheTokens), DecodeLoop.BudgetUnit.SLOTS)
        .run(requests);
  }
}
