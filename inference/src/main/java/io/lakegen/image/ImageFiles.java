package io.lakegen.image;

import com.twelvemonkeys.image.ResampleOp;
import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;

/** Resizes images and writes them as files. Thread-safe. */
public final class ImageFiles {
  private ImageFiles() {}

  /** A PNG file of an image. */
  public static byte[] png(RgbImage image) {
    return file(image, "png", Float.NaN);
  }

  /**
   * A baseline JPEG file of an image.
   *
   * @param quality 0 to 1
   */
  public static byte[] jpeg(RgbImage image, float quality) {
    return file(image, "jpeg", quality);
  }

  /** The image in another size, by Lanczos' filter over all that a pixel covers. */
  public static RgbImage resize(RgbImage image, int height, int width) {
    if (image.height() == height && image.width() == width) {
      return image;
    }
    BufferedImage resized =
        new ResampleOp(width, height, ResampleOp.FILTER_LANCZOS).filter(buffered(image), null);
    try {
      return new RgbImage(
          RgbPixels.of(resized).rgb(),
          height,
          width,
          image.originalHeight(),
          image.originalWidth());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static BufferedImage buffered(RgbImage image) {
    BufferedImage picture =
        new BufferedImage(image.width(), image.height(), BufferedImage.TYPE_3BYTE_BGR);
    byte[] bgr = ((DataBufferByte) picture.getRaster().getDataBuffer()).getData();
    byte[] rgb = image.pixels();
    for (int i = 0; i < rgb.length; i += 3) {
      bgr[i] = rgb[i + 2];
      bgr[i + 1] = rgb[i + 1];
      bgr[i + 2] = rgb[i];
    }
    return picture;
  }

  private static byte[] file(RgbImage image, String format, float quality) {
    ImageWriter writer = ImageIO.getImageWritersByFormatName(format).next();
    ImageWriteParam param = writer.getDefaultWriteParam();
    if (!Float.isNaN(quality)) {
      param.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
      param.setCompressionQuality(quality);
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ImageOutputStream out = ImageIO.createImageOutputStream(bytes)) {
      writer.setOutput(out);
      writer.write(null, new IIOImage(buffered(image), null, null), param);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      writer.dispose();
    }
    return bytes.toByteArray();
  }
}
