package io.lakegen.task.match;

import io.lakegen.image.ImageFiles;
import io.lakegen.image.RgbImage;

/**
 * A picture under a heat map. Colours and opacity are those of LAVIS' {@code getAttMap}: the map
 * from its least to its largest value as 0 to 1, in the colours of Matplotlib's {@code jet}, with
 * an opacity of the value's 0.7th power.
 */
final class Overlay {
  private static final double OPACITY_POWER = 0.7;

  private Overlay() {}

  /** A picture whose longest side has so many pixels at most. */
  static RgbImage shrink(RgbImage picture, int side) {
    int longest = Math.max(picture.height(), picture.width());
    return longest <= side
        ? picture
        : ImageFiles.resize(
            picture,
            Math.max(1, picture.height() * side / longest),
            Math.max(1, picture.width() * side / longest));
  }

  /**
   * A PNG file.
   *
   * @param map {@code [rows, columns]}, which cover the whole picture
   */
  static byte[] png(RgbImage picture, float[] map, int rows, int columns) {
    float least = Float.POSITIVE_INFINITY;
    float largest = Float.NEGATIVE_INFINITY;
    for (float value : map) {
      least = Math.min(least, value);
      largest = Math.max(largest, value);
    }
    // A map of one value says nothing: the picture stays as it is.
    float span = largest > least ? largest - least : Float.POSITIVE_INFINITY;
    byte[] rgb = picture.pixels().clone();
    int at = 0;
    for (int y = 0; y < picture.height(); y++) {
      double row = place(y, picture.height(), rows);
      for (int x = 0; x < picture.width(); x++) {
        double column = place(x, picture.width(), columns);
        double value = (between(map, columns, row, column) - least) / span;
        double opacity = Math.pow(value, OPACITY_POWER);
        for (int channel = 0; channel < 3; channel++) {
          double under = rgb[at] & 0xFF;
          double over = 255 * jet(value, channel);
          rgb[at++] = (byte) Math.round(under + opacity * (over - under));
        }
      }
    }
    return ImageFiles.png(
        new RgbImage(
            rgb,
            picture.height(),
            picture.width(),
            picture.originalHeight(),
            picture.originalWidth()));
  }

  /** Where a pixel's centre lies among the centres of cells, within the outermost ones. */
  private static double place(int pixel, int pixels, int cells) {
    double place = (pixel + 0.5) * cells / pixels - 0.5;
    return Math.min(Math.max(place, 0), cells - 1);
  }

  /** Bilinear interpolation. */
  private static double between(float[] map, int columns, double row, double column) {
    int y = (int) row;
    int x = (int) column;
    int below = Math.min(y + 1, map.length / columns - 1);
    int right = Math.min(x + 1, columns - 1);
    double dx = column - x;
    double upper = map[y * columns + x] * (1 - dx) + map[y * columns + right] * dx;
    double lower = map[below * columns + x] * (1 - dx) + map[below * columns + right] * dx;
    return upper + (row - y) * (lower - upper);
  }

  /** Red, green and blue are ramps up and down whose middles lie at 3, 2 and 1 quarters. */
  private static double jet(double value, int channel) {
    return Math.min(Math.max(1.5 - Math.abs(4 * value - (3 - channel)), 0), 1);
  }
}
