package io.lakegen.image;

import io.lakegen.image.EncodedImage.Pixels;
import io.lakegen.image.EncodedImage.UnsupportedImageException;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.IOException;
import java.util.Arrays;

/**
 * Takes 8-bit RGB out of any {@link BufferedImage}, from its samples: Java's own conversions treat
 * grey as linear light and brighten it, and apply colour profiles, which Pillow does not.
 */
final class RgbPixels {
  private RgbPixels() {}

  /** A channel value of 0 to 255 laid on white with an opacity of 0 to 255. */
  static int onWhite(int value, int opacity) {
    return (value * opacity + 255 * (255 - opacity) + 127) / 255;
  }

  static Pixels of(BufferedImage image) throws IOException {
    ColorModel model = image.getColorModel();
    int type = image.getRaster().getTransferType();
    int bits = image.getSampleModel().getSampleSize(0);
    if (type == DataBuffer.TYPE_FLOAT) {
      // TwelveMonkeys cuts these off at 0 and 1, so that the range they had is lost.
      throw new UnsupportedImageException("floating-point samples (expected: integers)");
    }
    if (type == DataBuffer.TYPE_INT && bits == 32) {
      return wide(image.getRaster(), bits);
    }
    if (type == DataBuffer.TYPE_DOUBLE || (type == DataBuffer.TYPE_INT && bits > 16)) {
      throw new UnsupportedImageException(
          bits + " bits a sample (expected: at most 16, or 32 of grey)");
    }
    if (model instanceof IndexColorModel palette) {
      return indexed(image.getRaster(), palette);
    }
    return switch (model.getColorSpace().getType()) {
      case ColorSpace.TYPE_GRAY, ColorSpace.TYPE_RGB, ColorSpace.TYPE_CMYK -> samples(image);
      default -> converted(image);
    };
  }

  /**
   * Grey of 32 bits a sample, which Pillow cuts off at 0 and 255. A picture of another range would
   * come out black or white without a word, and nothing tells how to scale it.
   */
  private static Pixels wide(Raster raster, int bits) throws IOException {
    if (raster.getNumBands() != 1) {
      throw new UnsupportedImageException(
          bits + " bits a sample in colour (expected: at most 16, or 32 of grey)");
    }
    int width = raster.getWidth();
    int height = raster.getHeight();
    int[] samples =
        raster.getSamples(
            raster.getMinX(), raster.getMinY(), width, height, 0, new int[width * height]);
    int least = Integer.MAX_VALUE;
    int most = Integer.MIN_VALUE;
    byte[] rgb = new byte[width * height * 3];
    for (int i = 0; i < samples.length; i++) {
      least = Math.min(least, samples[i]);
      most = Math.max(most, samples[i]);
      Arrays.fill(rgb, 3 * i, 3 * i + 3, (byte) samples[i]);
    }
    if (least < 0 || most > 255 || (most <= 1 && least < most)) {
      throw new UnsupportedImageException(
          bits + " bits a sample, from " + least + " to " + most + " (expected: from 0 to 255)");
    }
    return new Pixels(rgb, height, width);
  }

  private static Pixels indexed(Raster raster, IndexColorModel palette) throws IOException {
    int width = raster.getWidth();
    int height = raster.getHeight();
    int size = palette.getMapSize();
    int[] colours = new int[size];
    palette.getRGBs(colours);
    byte[] rgb = new byte[width * height * 3];
    int[] line = new int[width];
    int out = 0;
    for (int y = 0; y < height; y++) {
      raster.getSamples(raster.getMinX(), raster.getMinY() + y, width, 1, 0, line);
      for (int index : line) {
        if (index >= size) {
          throw new IOException(
              "its palette is damaged: " + size + " colours, colour " + index + " is used");
        }
        out = put(rgb, out, colours[index]);
      }
    }
    return new Pixels(rgb, height, width);
  }

  private static int put(byte[] rgb, int out, int argb) {
    int opacity = argb >>> 24;
    rgb[out] = (byte) onWhite(argb >>> 16 & 0xFF, opacity);
    rgb[out + 1] = (byte) onWhite(argb >>> 8 & 0xFF, opacity);
    rgb[out + 2] = (byte) onWhite(argb & 0xFF, opacity);
    return out + 3;
  }

  private static Pixels samples(BufferedImage image) {
    Raster raster = image.getRaster();
    ColorModel model = image.getColorModel();
    int width = raster.getWidth();
    int height = raster.getHeight();
    int bands = raster.getNumBands();
    int colours = model.getNumColorComponents();
    boolean alpha = model.hasAlpha() && bands > colours;
    boolean premultiplied = alpha && model.isAlphaPremultiplied();
    int[] bits = image.getSampleModel().getSampleSize();
    byte[] rgb = new byte[width * height * 3];
    int[] line = new int[width * bands];
    int[] pixel = new int[bands];
    int out = 0;
    for (int y = 0; y < height; y++) {
      raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, line);
      for (int x = 0; x < width; x++) {
        for (int b = 0; b < bands; b++) {
          pixel[b] = to8Bits(line[x * bands + b], bits[b]);
        }
        if (colours == 4) {
          // Pillow's conversion from CMYK.
          int black = 255 - pixel[3];
          for (int c = 0; c < 3; c++) {
            pixel[c] = black * (255 - pixel[c]) / 255;
          }
        }
        int opacity = alpha ? pixel[colours] : 255;
        for (int c = 0; c < 3; c++) {
          int value = pixel[colours == 1 ? 0 : c];
          rgb[out++] =
              (byte)
                  (premultiplied ? Math.min(255, value + 255 - opacity) : onWhite(value, opacity));
        }
      }
    }
    return new Pixels(rgb, height, width);
  }

  private static int to8Bits(int value, int bits) {
    return bits == 8 ? value : bits > 8 ? value >> (bits - 8) : value * 255 / ((1 << bits) - 1);
  }

  private static Pixels converted(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    byte[] rgb = new byte[width * height * 3];
    int[] line = new int[width];
    int out = 0;
    for (int y = 0; y < height; y++) {
      image.getRGB(0, y, width, 1, line, 0, width);
      for (int argb : line) {
        out = put(rgb, out, argb);
      }
    }
    return new Pixels(rgb, height, width);
  }
}
