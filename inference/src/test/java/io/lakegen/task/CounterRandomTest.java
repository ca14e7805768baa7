package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class CounterRandomTest {
  @Test
  void theNumbersDependOnSeedStreamAndIndexOnly() {
    assertThat(CounterRandom.uniform(7, 0, 0))
        .isEqualTo(CounterRandom.uniform(7, 0, 0))
        .isBetween(0.0, 1.0);
    assertThat(
            List.of(
                CounterRandom.uniform(7, 0, 0),
                CounterRandom.uniform(8, 0, 0),
                CounterRandom.uniform(7, 1, 0),
                CounterRandom.uniform(7, 0, 1)))
        .doesNotHaveDuplicates();
    assertThat(CounterRandom.gaussian(3, 2, 5))
        .containsExactly(Arrays.copyOf(CounterRandom.gaussian(3, 2, 8), 5));
  }

  /** Mean, variance, skew and tails of 200,000 numbers, each within five standard errors. */
  @Test
  void gaussianNumbersAreStandardNormal() {
    int count = 200_000;
    float[] values = CounterRandom.gaussian(11, 0, count);
    double[] moments = new double[5];
    int beyondTwo = 0;
    double lagged = 0;
    for (int i = 0; i < count; i++) {
      for (int k = 1; k < moments.length; k++) {
        moments[k] += Math.pow(values[i], k) / count;
      }
      beyondTwo += Math.abs(values[i]) > 2 ? 1 : 0;
      lagged += i == 0 ? 0 : (double) values[i] * values[i - 1] / count;
    }
    double error = 5 / Math.sqrt(count);
    assertThat(moments[1]).isCloseTo(0, within(error));
    assertThat(moments[2]).isCloseTo(1, within(error * Math.sqrt(2)));
    assertThat(moments[3]).isCloseTo(0, within(error * Math.sqrt(15)));
    assertThat(moments[4]).isCloseTo(3, within(error * Math.sqrt(96)));
    assertThat(lagged).isCloseTo(0, within(error));
    assertThat(beyondTwo / (double) count).isCloseTo(0.0455, within(error * 0.21));
  }
}
