package io.lakegen.image;

import io.lakegen.image.EncodedImage.Pixels;
import java.nio.IntBuffer;
import org.bytedeco.leptonica.PIX;
import org.bytedeco.leptonica.global.leptonica;

/**
 * Leptonica, which brings libjpeg-turbo and libwebp: the libraries that Pillow decodes with, so
 * that the pixels are Pillow's. Thread-safe.
 */
final class Leptonica {
  static {
    // It would write to the executor's standard error for every damaged file.
    leptonica.setMsgSeverity(leptonica.L_SEVERITY_NONE);
  }

  private Leptonica() {}

  /**
   * Width and height of a JPEG, or null if its header cannot be read.
   *
   * @return {width, height}
   */
  static int[] jpegSize(byte[] file) {
    int[] width = new int[1];
    int[] height = new int[1];
    int failed =
        NativeStderr.silently(
            () ->
                leptonica.readHeaderMemJpeg(
                    file, file.length, width, height, null, null, (int[]) null));
    return failed == 0 ? new int[] {width[0], height[0]} : null;
  }

  /**
   * Width and height of a WebP image, or null if its header cannot be read.
   *
   * @return {width, height}
   */
  static int[] webpSize(byte[] file) {
    int[] width = new int[1];
    int[] height = new int[1];
    int failed = leptonica.readHeaderMemWebP(file, file.length, width, height, new int[1]);
    return failed == 0 ? new int[] {width[0], height[0]} : null;
  }

  /**
   * Decodes a JPEG.
   *
   * @param scale 1, 2, 4 or 8: the size is divided by it and rounded up
   * @param warnings set to the number of libjpeg's warnings
   * @return null if libjpeg gives up
   */
  static Pixels jpeg(byte[] file, int scale, int[] warnings) {
    return pixels(
        NativeStderr.silently(
            () -> leptonica.pixReadMemJpeg(file, file.length, 0, scale, warnings, 0)));
  }

  /** Decodes a WebP image, on white; null if libwebp gives up. */
  static Pixels webp(byte[] file) {
    return pixels(leptonica.pixReadMemWebP(file, file.length));
  }

  private static Pixels pixels(PIX pix) {
    if (pix == null) {
      return null;
    }
    try {
      int width = pix.w();
      int height = pix.h();
      int wordsPerLine = pix.wpl();
      int depth = pix.d();
      boolean alpha = depth == 32 && pix.spp() == 4;
      byte[] rgb = new byte[Math.multiplyExact(Math.multiplyExact(width, height), 3)];
      IntBuffer words = pix.data().capacity((long) wordsPerLine * height).asBuffer();
      int[] line = new int[wordsPerLine];
      int out = 0;
      for (int y = 0; y < height; y++) {
        words.get(y * wordsPerLine, line);
        for (int x = 0; x < width; x++) {
          // The first pixel, and in it the first channel, is in a word's highest byte.
          if (depth == 8) {
            byte grey = (byte) (line[x >> 2] >>> (24 - 8 * (x & 3)));
            rgb[out++] = grey;
            rgb[out++] = grey;
            rgb[out++] = grey;
          } else {
            int word = line[x];
            int red = word >>> 24;
            int green = word >>> 16 & 0xFF;
            int blue = word >>> 8 & 0xFF;
            if (alpha) {
              int opacity = word & 0xFF;
              red = RgbPixels.onWhite(red, opacity);
              green = RgbPixels.onWhite(green, opacity);
              blue = RgbPixels.onWhite(blue, opacity);
            }
            rgb[out++] = (byte) red;
            rgb[out++] = (byte) green;
            rgb[out++] = (byte) blue;
          }
        }
      }
      return new Pixels(rgb, height, width);
    } finally {
      leptonica.pixDestroy(pix);
    }
  }
}
