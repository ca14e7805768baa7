package io.lakegen.image;

import io.lakegen.task.RowException;

/** Reads image files that must be good, and compares them by what they show. */
public final class CloseImages {
  private CloseImages() {}

  /** Whether two image files have one size and differ by no more than some levels anywhere. */
  public static boolean close(byte[] actual, byte[] expected, int levels) {
    RgbImage a = decode(actual);
    RgbImage b = decode(expected);
    boolean close = a.height() == b.height() && a.width() == b.width();
    for (int i = 0; close && i < a.pixels().length; i++) {
      close = Math.abs((a.pixels()[i] & 0xFF) - (b.pixels()[i] & 0xFF)) <= levels;
    }
    return close;
  }

  /** The picture of a file that must be good. */
  public static RgbImage decode(byte[] file) {
    try {
      return ImageDecoder.decode(file, Integer.MAX_VALUE, Integer.MAX_VALUE);
    } catch (RowException e) {
      throw new AssertionError(e);
    }
  }
}
