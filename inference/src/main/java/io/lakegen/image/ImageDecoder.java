package io.lakegen.image;

import io.lakegen.image.EncodedImage.Pixels;
import io.lakegen.image.EncodedImage.UnsupportedImageException;
import io.lakegen.task.RowException;
import java.io.EOFException;
import java.io.IOException;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * Turns the bytes of an image file into upright 8-bit RGB pixels. The format is told by the first
 * bytes, not by a name: JPEG, PNG, GIF and WebP (first frame), BMP or TIFF (first page; BigTIFF
 * too). Grey, palette, 16-bit and CMYK images become RGB as Pillow's {@code convert("RGB")} does
 * it, without colour profiles; transparent parts lie on white; the EXIF orientation is applied.
 * Thread-safe.
 */
public final class ImageDecoder {
  /** Longest file that is read, in bytes. */
  public static final int MAX_BYTES = 128 << 20;

  /** Most pixels that are decoded; Pillow warns of a decompression bomb above the same number. */
  public static final long MAX_PIXELS = 89_478_485;

  private ImageDecoder() {}

  /**
   * Decodes an image whole. Large JPEGs are decoded at 1/2, 1/4 or 1/8 of their size as long as
   * that leaves {@code minHeight} and {@code minWidth}: the inverse DCT then yields fewer pixels,
   * each still made of all that it covers.
   *
   * @param file may be null
   * @param minHeight rows that are enough for the caller, or {@code Integer.MAX_VALUE} for all
   * @param minWidth columns that are enough, likewise
   * @throws RowException of stage {@code prepare} and type {@code null_image}, {@code empty_image},
   *     {@code image_too_large}, {@code not_an_image}, {@code truncated_image}, {@code
   *     corrupt_image} or {@code unsupported_image}
   */
  public static RgbImage decode(byte[] file, int minHeight, int minWidth) throws RowException {
    if (file == null) {
      throw RowException.prepare("null_image", "the image is null (expected: an image file)");
    }
    if (file.length == 0) {
      throw RowException.prepare("empty_image", "the image file is empty (expected: an image)");
    }
    checkBytes(file.length);
    Format format = Format.of(file);
    try {
      EncodedImage image = open(format, file);
      int height = image.height();
      int width = image.width();
      if (height < 1 || width < 1) {
        throw new IOException("its header says " + width + " x " + height + " pixels");
      }
      if ((long) height * width > MAX_PIXELS) {
        throw RowException.prepare(
            "image_too_large",
            width + " x " + height + " pixels (expected: at most " + MAX_PIXELS + ")");
      }
      int orientation = image.orientation();
      boolean turned = Orientation.turned(orientation);
      Pixels pixels =
          Orientation.upright(
              image.decode(turned ? minWidth : minHeight, turned ? minHeight : minWidth),
              orientation);
      return new RgbImage(
          pixels.rgb(),
          pixels.height(),
          pixels.width(),
          turned ? width : height,
          turned ? height : width);
    } catch (UnsupportedImageException e) {
      throw RowException.prepare("unsupported_image", format + ": " + e.getMessage());
    } catch (EOFException e) {
      String found =
          e.getMessage() == null ? "the file ends in the middle of the image" : e.getMessage();
      throw RowException.prepare(
          "truncated_image", format + " of " + file.length + " bytes: " + found);
    } catch (IOException | RuntimeException e) {
      // ImageIO's readers answer damaged files with any runtime exception.
      throw RowException.prepare("corrupt_image", format + ": " + words(e));
    }
  }

  /**
   * Rejects a file by its length alone, so that it need not be read.
   *
   * @throws RowException of type {@code image_too_large}
   */
  public static void checkBytes(long length) throws RowException {
    if (length > MAX_BYTES) {
      throw RowException.prepare(
          "image_too_large", length + " bytes (expected: at most " + MAX_BYTES + ")");
    }
  }

  private static EncodedImage open(Format format, byte[] file) throws IOException {
    return switch (format) {
      case JPEG -> JpegImage.open(file);
      case WebP -> WebpImage.open(file);
      case TIFF -> ImageIoImage.open(format, TiffHeader.mended(file));
      case BMP -> ImageIoImage.open(format, BmpHeader.mended(file));
      case PNG, GIF -> ImageIoImage.open(format, file);
    };
  }

  private static String words(Exception e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage().strip();
  }

  /** Formats by their first bytes. */
  enum Format {
    JPEG,
    PNG,
    GIF,
    BMP,
    WebP,
    TIFF;

    private static final byte[] PNG_SIGNATURE = HexFormat.of().parseHex("89504e470d0a1a0a");

    static Format of(byte[] file) throws RowException {
      if (starts(file, 0xFF, 0xD8, 0xFF)) {
        return JPEG;
      } else if (Arrays.mismatch(file, PNG_SIGNATURE) == PNG_SIGNATURE.length) {
        return PNG;
      } else if (starts(file, 'G', 'I', 'F', '8')) {
        return GIF;
      } else if (starts(file, 'R', 'I', 'F', 'F')
          && file.length >= 12
          && starts(Arrays.copyOfRange(file, 8, 12), 'W', 'E', 'B', 'P')) {
        return WebP;
      } else if (TiffHeader.starts(file)) {
        return TIFF;
      } else if (starts(file, 'B', 'M')) {
        return BMP;
      }
      throw RowException.prepare(
          "not_an_image",
          "the file starts with bytes "
              + HexFormat.ofDelimiter(" ").formatHex(file, 0, Math.min(8, file.length))
              + " (expected: JPEG, PNG, GIF, BMP, WebP or TIFF)");
    }

    private static boolean starts(byte[] file, int... bytes) {
      if (file.length < bytes.length) {
        return false;
      }
      for (int i = 0; i < bytes.length; i++) {
        if ((file[i] & 0xFF) != bytes[i]) {
          return false;
        }
      }
      return true;
    }
  }
}
