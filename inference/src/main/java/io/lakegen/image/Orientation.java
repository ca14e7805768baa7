package io.lakegen.image;

import com.twelvemonkeys.imageio.metadata.Directory;
import com.twelvemonkeys.imageio.metadata.Entry;
import com.twelvemonkeys.imageio.metadata.tiff.TIFF;
import com.twelvemonkeys.imageio.metadata.tiff.TIFFReader;
import com.twelvemonkeys.imageio.stream.ByteArrayImageInputStream;
import io.lakegen.image.EncodedImage.Pixels;
import java.io.IOException;

/** The EXIF orientation (EXIF 2.3, tag 0x0112): where the image's first row and column belong. */
final class Orientation {
  static final int NORMAL = 1;

  private Orientation() {}

  /**
   * The orientation in a TIFF structure, which is what EXIF data are; 1 if they tell none or make
   * no sense, since a camera's slip is no reason to lose the picture.
   */
  static int read(byte[] bytes, int offset, int length) {
    try (ByteArrayImageInputStream in = new ByteArrayImageInputStream(bytes, offset, length)) {
      Directory directory = new TIFFReader().read(in);
      Entry entry = directory.getEntryById(TIFF.TAG_ORIENTATION);
      return entry != null
              && entry.getValue() instanceof Number value
              && value.intValue() >= 1
              && value.intValue() <= 8
          ? value.intValue()
          : NORMAL;
    } catch (IOException | RuntimeException e) {
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
