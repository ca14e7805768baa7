package io.lakegen.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** The header of a BMP file: what Pillow passes over in it and TwelveMonkeys' reader does not. */
final class BmpHeader {
  private static final int OFFSET = 10;
  private static final int SIZE = 14;
  private static final int INFO_SIZE = 40;
  private static final int PLANES = 26;
  private static final int BITS = 28;
  private static final int COMPRESSION = 30;
  private static final int COLOURS = 46;

  private BmpHeader() {}

  /**
   * The file with one plane, a place for its pixels, and the padding of its last row. Files of
   * OS/2's short header are left as they are.
   */
  static byte[] mended(byte[] file) {
    if (file.length < SIZE + INFO_SIZE) {
      return file;
    }
    ByteBuffer in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int size = in.getInt(SIZE);
    if (size < INFO_SIZE || size > 124) {
      return file;
    }
    int bits = in.getShort(BITS);
    int offset = in.getInt(OFFSET);
    if (offset == 0) {
      offset = SIZE + size + 4 * colours(in.getInt(COLOURS), bits) + masks(in, size);
    }
    int missing = missing(in, file.length - (long) offset, bits);
    if (in.getShort(PLANES) == 1 && in.getInt(OFFSET) == offset && missing == 0) {
      return file;
    }
    byte[] mended = Arrays.copyOf(file, file.length + missing);
    ByteBuffer.wrap(mended)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(PLANES, (short) 1)
        .putInt(OFFSET, offset);
    return mended;
  }

  private static int colours(int said, int bits) {
    return bits > 8 || bits < 1
        ? Math.max(0, Math.min(said, 256))
        : said > 0 && said <= 256 ? said : 1 << bits;
  }

  private static int masks(ByteBuffer in, int size) {
    return size == INFO_SIZE && in.getInt(COMPRESSION) == 3 ? 12 : 0;
  }

  /** Bytes of the last row's padding that the file lacks, if it lacks nothing else. */
  private static int missing(ByteBuffer in, long pixels, int bits) {
    long row = ((long) in.getInt(18) * bits + 7) / 8;
    long padded = (row + 3) / 4 * 4;
    long lacks = padded * Math.abs((long) in.getInt(22)) - pixels;
    boolean padding = in.getInt(COMPRESSION) == 0 && row > 0 && lacks > 0 && lacks <= padded - row;
    return padding ? (int) lacks : 0;
  }
}
