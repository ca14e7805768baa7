package io.lakegen.image;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

/** The chunks of a PNG file (ISO/IEC 15948, 5.3). The JDK's reader does not check their CRCs. */
final class PngChunks {
  private static final int SIGNATURE = 8;

  private PngChunks() {}

  /**
   * Checks every chunk up to the end of the image.
   *
   * @return the EXIF orientation
   * @throws EOFException if the end chunk is missing
   * @throws IOException if a chunk's CRC is wrong
   */
  static int check(byte[] file) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(file);
    int orientation = Orientation.NORMAL;
    for (int chunk = SIGNATURE; ; ) {
      if (file.length - chunk < 12) {
        throw new EOFException("the file ends without its end chunk");
      }
      int length = in.getInt(chunk);
      String name = new String(file, chunk + 4, 4, StandardCharsets.ISO_8859_1);
      if (length < 0) {
        throw new IOException("chunk " + name + " has an impossible length");
      }
      if (file.length - chunk - 12 < length) {
        throw new EOFException(
            "chunk " + name + " of " + length + " bytes runs past the end of the file");
      }
      CRC32 crc = new CRC32();
      crc.update(file, chunk + 4, length + 4);
      if ((int) crc.getValue() != in.getInt(chunk + 8 + length)) {
        throw new IOException("chunk " + name + " is damaged: its CRC does not match");
      }
      if (name.equals("eXIf")) {
        orientation = Orientation.read(file, chunk + 8, length);
      } else if (name.equals("IEND")) {
        return orientation;
      }
      chunk += 12 + length;
    }
  }
}
