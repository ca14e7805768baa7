package io.lakegen.decode;

import static io.lakegen.decode.DecodingOptions.DO_SAMPLE;
import static io.lakegen.decode.DecodingOptions.TEMPERATURE;
import static io.lakegen.decode.DecodingOptions.TOP_K;
import static io.lakegen.decode.DecodingOptions.TOP_P;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.model.PackSpec;
import io.lakegen.task.OptionValues;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SamplerTest {
  private static final int DRAWS = 20_000;
  private static final float[] LOGITS = {
    1.2f, -0.4f, 0.3f, 2.1f, -1.5f, 0.9f, 0.1f, 1.7f, -0.2f, 0f
  };

  /** Upper 0.1 % points of the chi-square distribution with 1 to 9 degrees of freedom. */
  private static final double[] CRITICAL = {
    10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.124, 27.877
  };

  @ParameterizedTest(name = "temperature {0}, top-k {1}, top-p {2}")
  @CsvSource({
    "1, 0, 1",
    "0.6, 0, 1",
    "1.8, 0, 1",
    "1, 4, 1",
    "1, 0, 0.7",
    "0.8, 6, 0.8",
    "1, 1, 1",
  })
  void drawsFromTheExactDistribution(double temperature, int topK, double topP) {
    double[] expected = distribution(temperature, topK, topP);
    // By row, as the rows of a job; and by step, as one row goes on.
    for (List<DecodeRow> rows : List.of(manyRows(), manySteps())) {
      long[] counts = new long[LOGITS.length];
      for (long token : draw(rows, temperature, topK, topP)) {
        counts[(int) token]++;
      }
      double chiSquare = 0;
      int freedom = -1;
      for (int i = 0; i < expected.length; i++) {
        if (expected[i] == 0) {
          assertThat(counts[i]).as("token %d is not allowed", i).isZero();
        } else {
          double mean = expected[i] * DRAWS;
          chiSquare += (counts[i] - mean) * (counts[i] - mean) / mean;
          freedom++;
        }
      }
      if (freedom > 0) {
        assertThat(chiSquare).isLessThan(CRITICAL[freedom - 1]);
      }
    }
  }

  /** The definition, in double, without the code under test. */
  private static double[] distribution(double temperature, int topK, double topP) {
    double[] probabilities = new double[LOGITS.length];
    Integer[] order =
        IntStream.range(0, LOGITS.length)
            .boxed()
            .sorted(Comparator.comparing(i -> -LOGITS[i]))
            .toArray(Integer[]::new);
    int kept = topK == 0 ? LOGITS.length : topK;
    for (int i = 0; i < kept; i++) {
      probabilities[order[i]] = Math.exp(LOGITS[order[i]] / temperature);
    }
    normalise(probabilities);
    double sum = 0;
    for (int i = 0; i < kept; i++) {
      if (sum >= topP) {
        probabilities[order[i]] = 0;
      } else {
        sum += probabilities[order[i]];
      }
    }
    normalise(probabilities);
    return probabilities;
  }

  private static void normalise(double[] values) {
    double sum = Arrays.stream(values).sum();
    Arrays.setAll(values, i -> values[i] / sum);
  }

  private static long[] draw(List<DecodeRow> rows, double temperature, int topK, double topP) {
    OptionValues options =
        OptionValues.NONE
            .with(DO_SAMPLE, true)
            .with(TEMPERATURE, temperature)
            .with(TOP_K, topK)
            .with(TOP_P, topP);
    OptionalInt none = OptionalInt.empty();
    LogitsProcessors processors =
        new LogitsProcessors(
            options,
            new PackSpec.Generation(none, List.of(), none, none, none, none, List.of(), 100));
    try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
      NDArray logits =
          manager
              .create(LOGITS, new Shape(1, LOGITS.length))
              .broadcast(new Shape(rows.size(), LOGITS.length));
      return Sampler.draw(processors.warp(logits), rows).toLongArray();
    }
  }

  private static List<DecodeRow> manyRows() {
    return IntStream.range(0, DRAWS).mapToObj(seed -> row(seed, 0)).toList();
  }

  private static List<DecodeRow> manySteps() {
    return IntStream.range(0, DRAWS).mapToObj(i -> row(i / 100, i % 100)).toList();
  }

  private static DecodeRow row(long seed, int generated) {
    DecodeRow row =
        new DecodeRow.Group(new DecodeRequest<>(new long[1], 100, seed, null), 0, 0).rows.get(0);
    for (int i = 0; i < generated; i++) {
      row.append(0, 0);
    }
    return row;
  }
}
