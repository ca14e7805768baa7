package io.lakegen.task.render;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.image.RgbImage;
import java.util.Base64;

/** What tests of rendering share. */
final class RenderFixtures {
  private RenderFixtures() {}

  /** A fixture's picture. */
  static RgbImage rgb(JsonNode picture) {
    int height = picture.path("height").asInt();
    int width = picture.path("width").asInt();
    return new RgbImage(
        Base64.getDecoder().decode(picture.path("rgb").asText()), height, width, height, width);
  }

  static void assertClose(RgbImage actual, JsonNode expected, int levels) {
    assertClose(actual, rgb(expected), levels);
  }

  static void assertClose(RgbImage actual, RgbImage expected, int levels) {
    assertThat(actual.pixels()).hasSameSizeAs(expected.pixels());
    int largest = 0;
    for (int i = 0; i < actual.pixels().length; i++) {
      largest =
          Math.max(largest, Math.abs((actual.pixels()[i] & 0xFF) - (expected.pixels()[i] & 0xFF)));
    }
    assertThat(largest).isLessThanOrEqualTo(levels);
  }
}
