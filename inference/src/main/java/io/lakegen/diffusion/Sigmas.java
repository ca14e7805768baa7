package io.lakegen.diffusion;

import java.util.Arrays;

/** Noise levels: standard deviations of the noise where the image keeps its size. */
final class Sigmas {
  /** Of Karras et al., arXiv 2206.00364, equation 5. */
  private static final double RHO = 7;

  private Sigmas() {}

  /** One for each training timestep, rising. */
  static double[] training(SchedulerConfig config) {
    return Arrays.stream(config.alphasCumprod()).map(a -> Math.sqrt((1 - a) / a)).toArray();
  }

  /** The noise at a timestep between those of the training. */
  static double at(double[] training, double timestep) {
    double inside = Math.max(0, Math.min(training.length - 1, timestep));
    int low = Math.min((int) inside, training.length - 2);
    double weight = inside - low;
    return (1 - weight) * training[low] + weight * training[low + 1];
  }

  /** The timestep of a noise level: the inverse of {@link #at} over logarithms. */
  static double timestep(double[] training, double sigma) {
    int found = Arrays.binarySearch(training, sigma);
    int low = Math.max(0, Math.min(found >= 0 ? found : -found - 2, training.length - 2));
    double weight =
        (Math.log(training[low]) - Math.log(sigma))
            / (Math.log(training[low]) - Math.log(training[low + 1]));
    return low + Math.max(0, Math.min(1, weight));
  }

  /** Levels from largest to smallest as Karras et al. space them, and 0 at the end. */
  static double[] karras(double smallest, double largest, int count) {
    double from = Math.pow(largest, 1 / RHO);
    double to = Math.pow(smallest, 1 / RHO);
    double[] sigmas = new double[count + 1];
    for (int i = 0; i < count; i++) {
      double ramp = count == 1 ? 0 : (double) i / (count - 1);
      sigmas[i] = Math.pow(from + ramp * (to - from), RHO);
    }
    return sigmas;
  }
}
