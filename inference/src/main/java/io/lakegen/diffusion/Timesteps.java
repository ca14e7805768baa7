package io.lakegen.diffusion;

import io.lakegen.diffusion.SchedulerConfig.Spacing;
import java.util.Arrays;

/** Training timesteps that the steps take, latest first. */
final class Timesteps {
  private Timesteps() {}

  /**
   * Timesteps by arXiv 2305.08891, table 2, as diffusers rounds them.
   *
   * @param count how many, at most {@code train}
   * @return with fractions for {@link Spacing#linspace}, without the offset
   */
  static double[] of(Spacing spacing, int train, int count) {
    double[] timesteps = new double[count];
    Arrays.setAll(
        timesteps,
        i ->
            switch (spacing) {
              case leading -> Math.floorDiv(train, count) * (count - 1.0 - i);
              case trailing -> Math.rint(train - (double) train / count * i) - 1;
              case linspace -> count == 1 ? 0 : (train - 1.0) * (count - 1 - i) / (count - 1);
            });
    return timesteps;
  }
}
