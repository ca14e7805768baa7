package io.lakegen.image;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** A WebP file, decoded by libwebp. */
record WebpImage(byte[] file, int height, int width, int orientation) implements EncodedImage {
  private static final int HEADER = 12;
  private static final int ANIMATION_FLAG = 0x02;

  static WebpImage open(byte[] file) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    long end = 8 + Integer.toUnsignedLong(in.getInt(4));
    if (file.length < end) {
      throw new EOFException();
    }
    int orientation = Orientation.NORMAL;
    for (long chunk = HEADER; chunk + 8 <= end; ) {
      int start = (int) chunk;
      String name = new String(file, start, 4, StandardCharsets.ISO_8859_1);
      long length = Integer.toUnsignedLong(in.getInt(start + 4));
      if (chunk + 8 + length > end) {
        throw new EOFException();
      }
      if (name.equals("VP8X") && length > 0 && (file[start + 8] & ANIMATION_FLAG) != 0) {
        throw new UnsupportedImageException("an animation (expected: a still image)");
      }
      if (name.equals("EXIF")) {
        orientation = Orientation.read(file, start + 8, (int) length);
      }
      // Chunks are padded to an even length.
      chunk += 8 + length + (length & 1);
    }
    int[] size = Leptonica.webpSize(file);
    if (size == null) {
      throw new IOException("libwebp cannot read its header");
    }
    return new WebpImage(file, size[1], size[0], orientation);
  }

  @Override
  public Pixels decode(int minHeight, int minWidth) throws IOException {
    Pixels pixels = Leptonica.webp(file);
    if (pixels == null) {
      throw new IOException("libwebp cannot decode it");
    }
    return pixels;
  }
}
