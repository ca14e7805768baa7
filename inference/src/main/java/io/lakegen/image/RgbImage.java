package io.lakegen.image;

/**
 * A decoded image.
 *
 * @param pixels 8-bit RGB, row by row: {@code [height, width, 3]}; not copied
 * @param height rows of {@code pixels}
 * @param width columns of {@code pixels}
 * @param originalHeight height of the image in its file, upright; {@code height} may be less
 * @param originalWidth width of the image in its file, upright
 */
public record RgbImage(
    byte[] pixels, int height, int width, int originalHeight, int originalWidth) {
  public RgbImage {
    if (pixels.length != Math.multiplyExact(Math.multiplyExact(height, width), 3)) {
      throw new IllegalArgumentException(
          "pixels: " + pixels.length + " bytes (expected: " + height + " x " + width + " x 3)");
    }
  }
}
