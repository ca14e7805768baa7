package io.lakegen.task.vision;

import com.twelvemonkeys.image.ResampleOp;
import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import javax.imageio.ImageIO;

/** Small JPEGs to look at. */
final class Thumbnail {
  static final int MAX_SIDE = 1024;

  private Thumbnail() {}

  /**
   * A JPEG of an image whose longest side is {@code side}, or as long as it is if it is shorter.
   */
  static byte[] jpeg(RgbImage image, int side) {
    BufferedImage picture =
        new BufferedImage(image.width(), image.height(), BufferedImage.TYPE_3BYTE_BGR);
    byte[] bgr = ((DataBufferByte) picture.getRaster().getDataBuffer()).getData();
    byte[] rgb = image.pixels();
    for (int i = 0; i < rgb.length; i += 3) {
      bgr[i] = rgb[i + 2];
      bgr[i + 1] = rgb[i + 1];
      bgr[i + 2] = rgb[i];
    }
    int longest = Math.max(image.height(), image.width());
    if (longest > side) {
      picture =
          new ResampleOp(
                  Math.max(1, image.width() * side / longest),
                  Math.max(1, image.height() * side / longest),
                  ResampleOp.FILTER_LANCZOS)
              .filter(picture, null);
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      ImageIO.write(picture, "jpeg", out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }
}
