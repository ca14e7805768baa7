package io.lakegen.image;

import java.io.EOFException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The first bytes of a TIFF or BigTIFF file. */
final class TiffHeader {
  private static final int CLASSIC = 42;
  private static final int BIG = 43;

  private TiffHeader() {}

  /** Whether a file is a TIFF; as for Pillow, the magic number may have its bytes swapped. */
  static boolean starts(byte[] file) {
    if (file.length < 4 || file[0] != file[1] || (file[0] != 'I' && file[0] != 'M')) {
      return false;
    }
    int magic = file[2] + file[3];
    return (magic == CLASSIC || magic == BIG) && (file[2] == 0 || file[3] == 0);
  }

  static boolean big(byte[] file) {
    return file[2] + file[3] == BIG;
  }

  /** The file with a magic number and an offset size that the readers accept. */
  static byte[] mended(byte[] file) {
    if (file.length < 8) {
      return file;
    }
    ByteBuffer header = header(file);
    int magic = big(file) ? BIG : CLASSIC;
    boolean sound =
        header.getShort(2) == magic && (!big(file) || header.getInt(4) == bigSizes(header));
    if (sound) {
      return file;
    }
    byte[] mended = file.clone();
    ByteBuffer out = header(mended);
    out.putShort(2, (short) magic);
    if (magic == BIG) {
      out.putShort(4, (short) 8).putShort(6, (short) 0);
    }
    return mended;
  }

  /** 8 bytes an offset, then zero. */
  private static int bigSizes(ByteBuffer header) {
    return header.order() == ByteOrder.LITTLE_ENDIAN ? 8 : 8 << 16;
  }

  /**
   * Where the first directory begins.
   *
   * @throws EOFException if the file ends before it says so
   */
  static long directory(byte[] file) throws EOFException {
    if (file.length < (big(file) ? 16 : 8)) {
      throw new EOFException();
    }
    ByteBuffer header = header(file);
    long offset = big(file) ? header.getLong(8) : Integer.toUnsignedLong(header.getInt(4));
    return offset < 0 ? Long.MAX_VALUE : offset;
  }

  private static ByteBuffer header(byte[] file) {
    return ByteBuffer.wrap(file)
        .order(file[0] == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
  }
}
