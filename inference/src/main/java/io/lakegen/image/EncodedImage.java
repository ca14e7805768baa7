package io.lakegen.image;

import java.io.IOException;
import java.util.Arrays;

/** An image file in memory whose header was read. Used by one thread. */
interface EncodedImage {
  /** Height in pixels as stored, before the orientation applies. */
  int height();

  /** Width in pixels as stored, before the orientation applies. */
  int width();

  /** EXIF orientation, 1 to 8. */
  int orientation();

  /**
   * Decodes into 8-bit RGB, as stored, transparent parts on white. A decoder that can reduce in the
   * frequency domain may return fewer pixels, but no fewer than asked for.
   *
   * @param minHeight rows that are enough
   * @param minWidth columns that are enough
   * @throws java.io.EOFException if the file ends too early
   * @throws UnsupportedImageException if the file is sound but of a kind that cannot be decoded
   * @throws IOException if the file is damaged; damaged files may also cause runtime exceptions
   */
  Pixels decode(int minHeight, int minWidth) throws IOException;

  /** 8-bit RGB, row by row. */
  record Pixels(byte[] rgb, int height, int width) {
    /** These pixels as a part of a larger, white picture. */
    Pixels onCanvas(int canvasHeight, int canvasWidth, int top, int left) {
      if (height == canvasHeight && width == canvasWidth) {
        return this;
      }
      byte[] canvas = new byte[canvasHeight * canvasWidth * 3];
      Arrays.fill(canvas, (byte) 255);
      for (int y = 0; y < height; y++) {
        System.arraycopy(
            rgb, y * width * 3, canvas, ((top + y) * canvasWidth + left) * 3, width * 3);
      }
      return new Pixels(canvas, canvasHeight, canvasWidth);
    }
  }

  /** A sound file of a kind that cannot be decoded. */
  final class UnsupportedImageException extends IOException {
    private static final long serialVersionUID = 1L;

    UnsupportedImageException(String message) {
      super(message);
    }
  }
}
