package io.lakegen.image;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The marker segments of a JPEG (ITU-T T.81, annex B), read as leniently as Pillow reads them:
 * stray bytes before a marker are passed over.
 *
 * @param file the picture as a strict decoder takes it: nothing between the segments, and of the
 *     application segments only those that tell the colour space, made anew
 * @param exif the data of the Exif segments, joined; empty if there are none
 */
record JpegSegments(byte[] file, byte[] exif) {
  private static final int TEM = 0x01;
  private static final int DHT = 0xC4;
  private static final int DAC = 0xCC;
  private static final int RST0 = 0xD0;
  private static final int RST7 = 0xD7;
  private static final int SOI = 0xD8;
  private static final int EOI = 0xD9;
  private static final int SOS = 0xDA;
  private static final int DNL = 0xDC;
  private static final int APP0 = 0xE0;
  private static final int APP1 = 0xE1;
  private static final int APP14 = 0xEE;
  private static final int APP15 = 0xEF;
  private static final int COM = 0xFE;
  private static final byte[] EXIF = {'E', 'x', 'i', 'f', 0, 0};
  private static final byte[] JFIF = {'J', 'F', 'I', 'F', 0};
  private static final byte[] ADOBE = {'A', 'd', 'o', 'b', 'e'};

  /** What libjpeg reads of an Adobe segment; it ignores shorter ones. */
  private static final int ADOBE_LENGTH = 12;

  /** Start and end of spectral selection, and the bit positions of successive approximation. */
  private static final byte[] SEQUENTIAL = {0, 63, 0};

  private static final byte[] JFIF_SEGMENT = {
    (byte) 0xFF, (byte) APP0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0
  };

  /**
   * Reads a file that starts with a start-of-image marker. What is damaged beyond the above, or
   * ends too early, is left to the decoder.
   */
  static JpegSegments of(byte[] file) {
    return new Reader(file).read();
  }

  private record Part(byte[] bytes, int start, int end) {}

  private static final class Reader {
    private final byte[] file;
    private final List<Part> kept = new ArrayList<>();
    private final ByteArrayOutputStream exif = new ByteArrayOutputStream();
    private boolean jfif;
    private int adobeTransform = -1;
    private int frame;
    private int components;
    private int at = 2;

    Reader(byte[] file) {
      this.file = file;
    }

    JpegSegments read() {
      while (nextMarker()) {
        int marker = file[at + 1] & 0xFF;
        if (marker == EOI) {
          keep(at, at + 2);
          break;
        }
        if (marker == TEM || (marker >= RST0 && marker <= RST7)) {
          at += 2;
          continue;
        }
        int length = at + 3 < file.length ? unsigned(at + 2) : 0;
        int end = at + 2 + Math.max(2, length);
        if (marker == SOI || marker < 0xC0 || end > file.length) {
          // The decoder says what is wrong.
          keep(at, file.length);
          break;
        }
        if (application(marker)) {
          application(marker, end);
        } else if (marker == SOS) {
          end = scan(end);
        } else {
          if (marker >= 0xC0 && marker <= 0xCF && marker != DHT && marker != DAC) {
            frame(marker, end);
          }
          keep(at, end);
        }
        at = end;
      }
      return new JpegSegments(withColourSpace(), exif.toByteArray());
    }

    /** Goes to the next marker; fill bytes and stuffed bytes are none. */
    private boolean nextMarker() {
      for (; at + 1 < file.length; at++) {
        int code = file[at + 1] & 0xFF;
        if (file[at] == (byte) 0xFF && code != 0xFF && code != 0) {
          return true;
        }
      }
      return false;
    }

    private static boolean application(int marker) {
      return (marker >= APP0 && marker <= APP15) || marker == COM;
    }

    private void application(int marker, int end) {
      int start = at + 4;
      if (marker == APP0 && starts(start, end, JFIF)) {
        jfif = true;
      } else if (marker == APP1 && starts(start, end, EXIF)) {
        exif.write(file, start + EXIF.length, end - start - EXIF.length);
      } else if (marker == APP14 && starts(start, end, ADOBE) && end - start >= ADOBE_LENGTH) {
        adobeTransform = file[start + ADOBE_LENGTH - 1] & 0xFF;
      }
    }

    private void frame(int marker, int end) {
      if (end - at >= 10) {
        frame = marker;
        components = file[at + 9] & 0xFF;
      }
    }

    /** Writes a scan's header and coded data; returns where they end. */
    private int scan(int header) {
      int end = header;
      while (end + 1 < file.length && !endsScan(end)) {
        end++;
      }
      if (end + 1 >= file.length) {
        end = file.length;
      }
      if ((frame == 0xC0 || frame == 0xC1) && header - at >= 8) {
        // A sequential scan has one value for these; libjpeg only warns of others.
        keep(at, header - 3);
        kept.add(new Part(SEQUENTIAL, 0, SEQUENTIAL.length));
        keep(header, end);
      } else {
        keep(at, end);
      }
      return end;
    }

    private boolean endsScan(int place) {
      if (file[place] != (byte) 0xFF) {
        return false;
      }
      int code = file[place + 1] & 0xFF;
      return code != 0 && code != 0xFF && (code < RST0 || code > RST7) && code != DNL;
    }

    private void keep(int start, int end) {
      kept.add(new Part(file, start, end));
    }

    private byte[] withColourSpace() {
      ByteArrayOutputStream out = new ByteArrayOutputStream(file.length + 40);
      out.write(0xFF);
      out.write(SOI);
      if (jfif) {
        out.writeBytes(JFIF_SEGMENT);
      }
      int transform = adobeTransform;
      if (components == 4) {
        // As Pillow: inverted even without the segment. As libjpeg: unknown codes mean YCCK.
        transform = transform <= 0 ? 0 : 2;
      } else if (transform > 1) {
        transform = 1;
      }
      if (transform >= 0) {
        out.writeBytes(new byte[] {(byte) 0xFF, (byte) APP14, 0, 14});
        out.writeBytes(ADOBE);
        out.writeBytes(new byte[] {0, 100, 0, 0, 0, 0, (byte) transform});
      }
      for (Part part : kept) {
        out.write(part.bytes(), part.start(), part.end() - part.start());
      }
      return out.toByteArray();
    }

    private boolean starts(int start, int end, byte[] name) {
      return end - start >= name.length
          && Arrays.equals(file, start, start + name.length, name, 0, name.length);
    }

    private int unsigned(int place) {
      return (file[place] & 0xFF) << 8 | (file[place + 1] & 0xFF);
    }
  }
}
