package io.lakegen.image;

import com.twelvemonkeys.imageio.stream.ByteArrayImageInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.event.IIOReadWarningListener;

/** A JPEG file, decoded by libjpeg-turbo at full or reduced size. */
record JpegImage(byte[] file, int height, int width, int orientation) implements EncodedImage {
  /** How the JDK's reader warns that the file ends too early, whatever else then fails. */
  private static final String TRUNCATED = "Truncated File";

  static JpegImage open(byte[] original) throws IOException {
    JpegSegments segments = JpegSegments.of(original);
    byte[] file = segments.file();
    int[] size = Leptonica.jpegSize(file);
    if (size == null) {
      throw failure(file);
    }
    byte[] exif = segments.exif();
    return new JpegImage(file, size[1], size[0], Orientation.read(exif, 0, exif.length));
  }

  @Override
  public Pixels decode(int minHeight, int minWidth) throws IOException {
    int scale = scale(height, width, minHeight, minWidth);
    int[] warnings = new int[1];
    Pixels pixels = Leptonica.jpeg(file, scale, warnings);
    if (pixels == null) {
      throw failure(file);
    }
    if (warnings[0] > 0) {
      String damage = damage(file);
      if (damage != null) {
        throw failure(damage);
      }
    }
    return pixels;
  }

  /** The largest of 8, 4, 2 and 1 that leaves enough rows and columns. */
  static int scale(int height, int width, int minHeight, int minWidth) {
    for (int scale = 8; scale > 1; scale /= 2) {
      if ((height + scale - 1) / scale >= minHeight && (width + scale - 1) / scale >= minWidth) {
        return scale;
      }
    }
    return 1;
  }

  private static IOException failure(byte[] file) {
    String damage = damage(file);
    return failure(damage == null ? "libjpeg-turbo cannot decode it" : damage);
  }

  private static IOException failure(String damage) {
    if (damage.startsWith(TRUNCATED)) {
      return new EOFException(damage);
    }
    if (damage.startsWith("Unsupported")) {
      return new UnsupportedImageException(damage);
    }
    return new IOException(damage);
  }

  /**
   * What is wrong with a JPEG that libjpeg-turbo warned of or gave up on; null if nothing that
   * shows. libjpeg fills what is missing with grey and only counts its warnings through Leptonica,
   * while the JDK's copy of libjpeg reports their texts: stray bytes after the coded data are
   * harmless; a hole in the picture is not.
   */
  private static String damage(byte[] file) {
    List<String> found = new ArrayList<>();
    ImageReader reader = ImageIO.getImageReadersByFormatName("jpeg").next();
    try (ByteArrayImageInputStream in = new ByteArrayImageInputStream(file)) {
      reader.setInput(in, true, true);
      reader.addIIOReadWarningListener(
          (IIOReadWarningListener) (source, warning) -> found.add(warning));
      reader.readRaster(0, null);
    } catch (IOException | RuntimeException e) {
      found.add(0, e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage());
    } finally {
      reader.dispose();
    }
    return found.stream()
        .filter(w -> !w.contains("extraneous bytes"))
        .min(Comparator.comparing(w -> !w.startsWith(TRUNCATED)))
        .orElse(null);
  }
}
