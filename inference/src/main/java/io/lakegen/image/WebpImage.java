package io.lakegen.image;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * A WebP file, decoded by libwebp; of an animation its first frame.
 *
 * @param file a still image
 * @param top the row of the picture in which the still image begins
 * @param left the column in which it begins
 */
record WebpImage(byte[] file, int height, int width, int orientation, int top, int left)
    implements EncodedImage {
  private static final int HEADER = 12;
  private static final int FRAME_HEADER = 16;
  private static final int ANIMATION_FLAG = 0x02;
  private static final int ALPHA_FLAG = 0x10;
  private static final byte[] RIFF = {'R', 'I', 'F', 'F'};
  private static final byte[] WEBP = {'W', 'E', 'B', 'P'};
  private static final byte[] VP8X = {'V', 'P', '8', 'X'};
  private static final byte[] ALPH = {'A', 'L', 'P', 'H'};
  private static final byte[] EXIF = {'E', 'x', 'i', 'f', 0, 0};

  static WebpImage open(byte[] file) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    long end = 8 + Integer.toUnsignedLong(in.getInt(4));
    if (file.length < end) {
      throw new EOFException();
    }
    int orientation = Orientation.NORMAL;
    boolean animation = false;
    int canvas = 0;
    int frame = 0;
    int frameLength = 0;
    for (long chunk = HEADER; chunk + 8 <= end; ) {
      int start = (int) chunk;
      String name = new String(file, start, 4, StandardCharsets.ISO_8859_1);
      long length = Integer.toUnsignedLong(in.getInt(start + 4));
      if (chunk + 8 + length > end) {
        throw new EOFException();
      }
      if (name.equals("VP8X") && length >= 10) {
        animation = (file[start + 8] & ANIMATION_FLAG) != 0;
        canvas = start + 12;
      } else if (name.equals("ANMF") && length >= FRAME_HEADER && frame == 0) {
        frame = start + 8;
        frameLength = (int) length;
      } else if (name.equals("EXIF")) {
        int header = starts(file, start + 8, length, EXIF) ? EXIF.length : 0;
        orientation = Orientation.read(file, start + 8 + header, (int) length - header);
      }
      // Chunks are padded to an even length.
      chunk += 8 + length + (length & 1);
    }
    if (!animation) {
      int[] size = size(file);
      return new WebpImage(file, size[1], size[0], orientation, 0, 0);
    }
    if (frame == 0) {
      throw new IOException("an animation without a frame");
    }
    int height = three(file, canvas + 3) + 1;
    int width = three(file, canvas) + 1;
    int left = 2 * three(file, frame);
    int top = 2 * three(file, frame + 3);
    byte[] still =
        still(
            Arrays.copyOfRange(file, frame + FRAME_HEADER, frame + frameLength),
            frame(file, frame));
    int[] size = size(still);
    if (left + size[0] > width || top + size[1] > height) {
      throw new IOException("its first frame lies outside of the picture");
    }
    return new WebpImage(still, height, width, orientation, top, left);
  }

  private static int[] size(byte[] file) throws IOException {
    int[] size = Leptonica.webpSize(file);
    if (size == null) {
      throw new IOException("libwebp cannot read its header");
    }
    return size;
  }

  private static byte[] frame(byte[] file, int frame) {
    return Arrays.copyOfRange(file, frame + 6, frame + 12);
  }

  /** A frame's chunks as a file of their own; size: width and height less 1, 3 bytes each. */
  private static byte[] still(byte[] chunks, byte[] size) {
    boolean alpha = starts(chunks, 0, chunks.length, ALPH);
    ByteBuffer out =
        ByteBuffer.allocate(HEADER + (alpha ? 18 : 0) + chunks.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    out.put(RIFF).putInt(out.capacity() - 8).put(WEBP);
    if (alpha) {
      out.put(VP8X).putInt(10).putInt(ALPHA_FLAG).put(size);
    }
    return out.put(chunks).array();
  }

  private static boolean starts(byte[] file, int at, long length, byte[] name) {
    return length >= name.length && Arrays.equals(file, at, at + name.length, name, 0, name.length);
  }

  private static int three(byte[] file, int at) {
    return (file[at] & 0xFF) | (file[at + 1] & 0xFF) << 8 | (file[at + 2] & 0xFF) << 16;
  }

  @Override
  public Pixels decode(int minHeight, int minWidth) throws IOException {
    Pixels pixels = Leptonica.webp(file);
    if (pixels == null) {
      throw new IOException("libwebp cannot decode it");
    }
    return pixels.onCanvas(height, width, top, left);
  }
}
