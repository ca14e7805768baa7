package io.lakegen.image;

import io.lakegen.image.EncodedImage.Pixels;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The EXIF orientation (EXIF 2.3, tag 0x0112): where the image's first row and column belong. */
final class Orientation {
  static final int NORMAL = 1;

  private static final short TAG = 0x0112;
  private static final int BIG_TIFF = 43;
  private static final int SHORT = 3;
  private static final int LONG = 4;
  private static final int SIGNED_SHORT = 8;

  private Orientation() {}

  /**
   * The orientation in a TIFF structure (TIFF 6.0, section 2; also BigTIFF), which is what EXIF
   * data are; 1 if they tell none or make no sense, since a camera's slip is no reason to lose the
   * picture. What follows the orientation may be damaged.
   */
  static int read(byte[] bytes, int offset, int length) {
    try {
      ByteBuffer in = ByteBuffer.wrap(bytes, offset, length).slice();
      in.order(in.get(0) == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
      if (in.get(0) != in.get(1) || (in.get(0) != 'I' && in.get(0) != 'M')) {
        return NORMAL;
      }
      boolean big = in.getShort(2) == BIG_TIFF;
      int directory = Math.toIntExact(big ? in.getLong(8) : Integer.toUnsignedLong(in.getInt(4)));
      long entries = big ? in.getLong(directory) : Short.toUnsignedInt(in.getShort(directory));
      int entry = directory + (big ? 8 : 2);
      for (long i = 0; i < entries; i++, entry += big ? 20 : 12) {
        if (in.getShort(entry) == TAG) {
          int type = in.getShort(entry + 2);
          int at = entry + (big ? 12 : 8);
          if (!big && type == SHORT && in.getInt(entry + 4) > 2) {
            return NORMAL;
          }
          int value =
              type == SHORT || type == SIGNED_SHORT
                  ? in.getShort(at)
                  : type == LONG ? in.getInt(at) : NORMAL;
          return value >= 1 && value <= 8 ? value : NORMAL;
        }
      }
      return NORMAL;
    } catch (IndexOutOfBoundsException | ArithmeticException e) {
      return NORMAL;
    }
  }

  /** Whether height and width change places. */
  static boolean turned(int orientation) {
    return orientation >= 5;
  }

  /** The image as it is to be seen. */
  static Pixels upright(Pixels stored, int orientation) {
    if (orientation == NORMAL) {
      return stored;
    }
    boolean turned = turned(orientation);
    int height = turned ? stored.width() : stored.height();
    int width = turned ? stored.height() : stored.width();
    int lastRow = stored.height() - 1;
    int lastColumn = stored.width() - 1;
    byte[] from = stored.rgb();
    byte[] to = new byte[from.length];
    int out = 0;
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int row;
        int column;
        switch (orientation) {
          case 2 -> {
            row = y;
            column = lastColumn - x;
          }
          case 3 -> {
            row = lastRow - y;
            column = lastColumn - x;
          }
          case 4 -> {
            row = lastRow - y;
            column = x;
          }
          case 5 -> {
            row = x;
            column = y;
          }
          case 6 -> {
            row = lastRow - x;
            column = y;
          }
          case 7 -> {
            row = lastRow - x;
            column = lastColumn - y;
          }
          case 8 -> {
            row = x;
            column = lastColumn - y;
          }
          default ->
              throw new IllegalArgumentException(
                  "orientation: " + orientation + " (expected: 1 to 8)");
        }
        int in = 3 * (row * stored.width() + column);
        to[out++] = from[in];
        to[out++] = from[in + 1];
        to[out++] = from[in + 2];
      }
    }
    return new Pixels(to, height, width);
  }
}
