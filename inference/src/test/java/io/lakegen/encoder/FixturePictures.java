package io.lakegen.encoder;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import javax.imageio.ImageIO;

/** The pictures of fixtures as image files, and others. */
public final class FixturePictures {
  private FixturePictures() {}

  /** A picture of {@code expected.json} as a PNG file, which keeps every pixel. */
  public static byte[] png(JsonNode picture) {
    int height = picture.path("height").asInt();
    int width = picture.path("width").asInt();
    byte[] rgb = Base64.getDecoder().decode(picture.path("rgb").asText());
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < height * width; i++) {
      int pixel =
          (rgb[3 * i] & 0xFF) << 16 | (rgb[3 * i + 1] & 0xFF) << 8 | (rgb[3 * i + 2] & 0xFF);
      image.setRGB(i % width, i / width, pixel);
    }
    return file(image, "png");
  }

  /** The fixture's pictures as rows. */
  public static List<RowInput> rows(Fixture fixture) {
    return Fixture.stream(fixture.expected().path("images"))
        .map(picture -> RowInputs.of(1, PictureTask.IMAGE, png(picture)))
        .toList();
  }

  /** What the image processor makes of them, {@code [3, height, width]} each. */
  public static List<float[]> pixels(Fixture fixture) {
    float[] all = Fixture.floats(fixture.expected().path("pixels"));
    int size = all.length / fixture.expected().path("images").size();
    List<float[]> pixels = new ArrayList<>();
    for (int from = 0; from < all.length; from += size) {
      pixels.add(Arrays.copyOfRange(all, from, from + size));
    }
    return pixels;
  }

  /** A small picture of blotches, of some size. */
  public static byte[] random(Random random) {
    BufferedImage image =
        new BufferedImage(
            20 + random.nextInt(60), 20 + random.nextInt(60), BufferedImage.TYPE_INT_RGB);
    java.awt.Graphics2D brush = image.createGraphics();
    for (int i = 0; i < 12; i++) {
      brush.setColor(new java.awt.Color(random.nextInt(1 << 24)));
      brush.fillOval(random.nextInt(60), random.nextInt(60), random.nextInt(40), 20);
    }
    brush.dispose();
    return file(image, random.nextBoolean() ? "png" : "jpg");
  }

  private static byte[] file(BufferedImage image, String format) {
    try (ByteArrayOutputStream out = new ByteArrayOutputStream()) {
      ImageIO.write(image, format, out);
      return out.toByteArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
