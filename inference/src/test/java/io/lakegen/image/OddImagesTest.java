package io.lakegen.image;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.task.RowException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Files that bend the rules of their formats, against what Pillow makes of them (make_odd.py). */
class OddImagesTest {
  private static final Path IMAGES = Path.of("src/test/resources/images");
  private static final int STEP = 3;

  static Stream<String> odd() throws IOException {
    List<String> names = new ArrayList<>();
    json().fieldNames().forEachRemaining(names::add);
    assertThat(names).hasSizeGreaterThan(200);
    return names.stream();
  }

  private static JsonNode json() throws IOException {
    return new ObjectMapper().readTree(IMAGES.resolve("odd.json").toFile());
  }

  @ParameterizedTest
  @MethodSource("odd")
  void survey(String name) throws Exception {
    JsonNode expected = json().path(name);
    String pillow = expected.has("error") ? "REFUSED" : "opened";
    String ours;
    try {
      RgbImage image =
          ImageDecoder.decode(
              Files.readAllBytes(IMAGES.resolve("odd").resolve(name)),
              Integer.MAX_VALUE,
              Integer.MAX_VALUE);
      ours = "opened";
      if (pillow.equals("opened")) {
        if (image.height() != expected.path("height").asInt()
            || image.width() != expected.path("width").asInt()) {
          ours = "opened SIZE " + image.width() + "x" + image.height();
        } else {
          byte[] rgb = Base64.getDecoder().decode(expected.path("rgb").asText());
          int largest = 0;
          for (int i = 0; i < rgb.length; i++) {
            int actual = image.pixels()[i / 3 * STEP * 3 + i % 3] & 0xFF;
            largest = Math.max(largest, Math.abs(actual - (rgb[i] & 0xFF)));
          }
          ours = "opened " + (largest > 2 ? "DIFFERS " : "") + largest;
        }
      }
    } catch (RowException e) {
      ours = "REFUSED " + e.error().type() + ": " + e.error().message();
    }
    System.out.println("ODD\t" + name + "\t" + pillow + "\t" + ours);
  }
}
