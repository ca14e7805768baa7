package io.lakegen.image;

/** How near an image is to another of its size. */
public final class ImageQuality {
  /** Sides of the windows of {@link #ssim} in pixels. */
  private static final int WINDOW = 7;

  private ImageQuality() {}

  /** Peak signal-to-noise ratio over all channels in decibels; infinite for equal images. */
  public static double psnr(RgbImage one, RgbImage other) {
    double sum = 0;
    for (int i = 0; i < one.pixels().length; i++) {
      double difference = (one.pixels()[i] & 0xFF) - (other.pixels()[i] & 0xFF);
      sum += difference * difference;
    }
    return 10 * Math.log10(255.0 * 255.0 * one.pixels().length / sum);
  }

  /**
   * Structural similarity (Wang et al., IEEE TIP 2004, equation 13), at most 1: the mean over
   * channels and over all windows of 7 x 7 pixels, with K1 0.01 and K2 0.03 and unbiased variances;
   * scikit-image's {@code structural_similarity} by default. NaN for images without a window.
   */
  public static double ssim(RgbImage one, RgbImage other) {
    int height = one.height() - WINDOW + 1;
    int width = one.width() - WINDOW + 1;
    if (height < 1 || width < 1) {
      return Double.NaN;
    }
    double sum = 0;
    for (int channel = 0; channel < 3; channel++) {
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
          sum += ofWindow(one, other, channel, y, x);
        }
      }
    }
    return sum / (3.0 * height * width);
  }

  private static double ofWindow(RgbImage one, RgbImage other, int channel, int top, int left) {
    long sumOne = 0;
    long sumOther = 0;
    long squaresOne = 0;
    long squaresOther = 0;
    long products = 0;
    for (int y = top; y < top + WINDOW; y++) {
      for (int x = left; x < left + WINDOW; x++) {
        int at = 3 * (y * one.width() + x) + channel;
        long a = one.pixels()[at] & 0xFF;
        long b = other.pixels()[at] & 0xFF;
        sumOne += a;
        sumOther += b;
        squaresOne += a * a;
        squaresOther += b * b;
        products += a * b;
      }
    }
    double count = WINDOW * WINDOW;
    double meanOne = sumOne / count;
    double meanOther = sumOther / count;
    double varianceOne = (squaresOne - count * meanOne * meanOne) / (count - 1);
    double varianceOther = (squaresOther - count * meanOther * meanOther) / (count - 1);
    double covariance = (products - count * meanOne * meanOther) / (count - 1);
    double c1 = Math.pow(0.01 * 255, 2);
    double c2 = Math.pow(0.03 * 255, 2);
    return (2 * meanOne * meanOther + c1)
        * (2 * covariance + c2)
        / ((meanOne * meanOne + meanOther * meanOther + c1) * (varianceOne + varianceOther + c2));
  }
}
