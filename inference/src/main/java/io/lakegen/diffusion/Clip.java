package io.lakegen.diffusion;

import java.util.Arrays;

/**
 * What keeps a predicted image in its range.
 *
 * @param most largest absolute value; infinite for any
 * @param quantile above 0, dynamic thresholding: values are divided by this quantile of their
 *     absolute values where it is above 1, but by no more than {@code most}, so that they lie in
 *     -1..1 (Imagen, arXiv 2205.11487, section 2.3)
 */
record Clip(double most, double quantile) {
  /** None. */
  static final Clip NONE = new Clip(Double.POSITIVE_INFINITY, 0);

  /** Clips an image in place. */
  void apply(float[] image) {
    double scale = quantile > 0 ? Math.max(1, Math.min(most, atQuantile(image))) : 1;
    double limit = quantile > 0 ? scale : most;
    if (limit == Double.POSITIVE_INFINITY) {
      return;
    }
    for (int i = 0; i < image.length; i++) {
      image[i] = (float) (Math.max(-limit, Math.min(limit, image[i])) / scale);
    }
  }

  private double atQuantile(float[] image) {
    if (most <= 1) {
      return 1;
    }
    float[] sorted = new float[image.length];
    for (int i = 0; i < sorted.length; i++) {
      sorted[i] = Math.abs(image[i]);
    }
    Arrays.sort(sorted);
    double place = quantile * (sorted.length - 1);
    int below = (int) place;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  }
}
