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
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Files that bend the rules of their formats, against what Pillow makes of them (make_odd.py). */
class OddImagesTest {
  private static final Path IMAGES = Path.of("src/test/resources/images");
  private static final int STEP = 3;

  /**
   * What Pillow opens and we refuse, by the error's type: pixels that Pillow makes up or clips
   * away, and what the libraries can't read.
   */
  private static final Map<String, String> REFUSED =
      Map.ofEntries(
          Map.entry("bits-32-16-bits.tif", "unsupported_image"),
          Map.entry("bits-32-float-big.tif", "unsupported_image"),
          Map.entry("bits-32-float-little.tif", "unsupported_image"),
          Map.entry("bits-32-negative.tif", "unsupported_image"),
          Map.entry("bits-32-wide.tif", "unsupported_image"),
          Map.entry("data-crc.png", "corrupt_image"),
          Map.entry("data-short.jpg", "corrupt_image"),
          Map.entry("end-cut.png", "truncated_image"),
          Map.entry("fields-zero.bmp", "corrupt_image"),
          Map.entry("float-bright.tif", "unsupported_image"),
          Map.entry("float-fractions.tif", "unsupported_image"),
          Map.entry("float-not-a-number.tif", "unsupported_image"),
          Map.entry("float-unit.tif", "unsupported_image"),
          Map.entry("float-white-is-zero.tif", "unsupported_image"),
          Map.entry("junk-before-frame.gif", "corrupt_image"),
          Map.entry("no-end.png", "truncated_image"),
          Map.entry("offset-small.bmp", "corrupt_image"),
          Map.entry("palette-exceeded.bmp", "corrupt_image"),
          Map.entry("palette-of-triples.bmp", "corrupt_image"),
          Map.entry("pillow-lzma.tif", "corrupt_image"),
          Map.entry("pillow-zstd.tif", "corrupt_image"),
          Map.entry("restart-missing.jpg", "corrupt_image"),
          Map.entry("restart-wrong-number.jpg", "corrupt_image"),
          Map.entry("sampling-411.jpg", "corrupt_image"),
          Map.entry("sampling-440.jpg", "corrupt_image"));

  /** Opened by both, with other pixels: signed and inverted samples, unspecified alpha, Lab. */
  private static final Set<String> READ_OTHERWISE =
      Set.of(
          "alpha-associated.tif",
          "alpha-header-56.bmp",
          "animated-opaque-part.webp",
          "bits-16-signed.tif",
          "bits-16-white-is-zero.tif",
          "extra-unspecified.tif",
          "lab.tif",
          "palette-8-bit-values.tif",
          "version-5-no-fields.bmp");

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
  void opensWhatPillowOpens(String name) throws Exception {
    JsonNode expected = json().path(name);
    byte[] file = Files.readAllBytes(IMAGES.resolve("odd").resolve(name));
    RgbImage image;
    try {
      image = ImageDecoder.decode(file, Integer.MAX_VALUE, Integer.MAX_VALUE);
    } catch (RowException e) {
      assertThat(e.error().stage()).isEqualTo("prepare");
      assertThat(e.error().message()).hasSizeGreaterThan(20).doesNotContain("Exception");
      if (!expected.has("error")) {
        assertThat(e.error().type()).as(e.getMessage()).isEqualTo(REFUSED.get(name));
      }
      return;
    }
    assertThat(REFUSED).as("no longer refused").doesNotContainKey(name);
    if (!expected.has("error")) {
      assertThat(image.height()).isEqualTo(expected.path("height").asInt());
      assertThat(image.width()).isEqualTo(expected.path("width").asInt());
      int largest = largestDifference(image, expected);
      if (READ_OTHERWISE.contains(name)) {
        assertThat(largest).as("as Pillow now").isGreaterThan(2);
      } else {
        assertThat(largest).isLessThanOrEqualTo(2);
      }
    }
  }

  private static int largestDifference(RgbImage image, JsonNode expected) {
    byte[] rgb = Base64.getDecoder().decode(expected.path("rgb").asText());
    int largest = 0;
    for (int i = 0; i < rgb.length; i++) {
      int actual = image.pixels()[i / 3 * STEP * 3 + i % 3] & 0xFF;
      largest = Math.max(largest, Math.abs(actual - (rgb[i] & 0xFF)));
    }
    return largest;
  }
}
