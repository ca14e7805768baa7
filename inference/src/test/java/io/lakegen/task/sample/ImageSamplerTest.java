package io.lakegen.task.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.image.RgbImage;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInputs;
import io.lakegen.task.sample.ImageMaker.Made;
import io.lakegen.task.sample.ImageMaker.Request;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Images of generators against those of the same in Python, and among themselves. */
class ImageSamplerTest {
  @ParameterizedTest
  @ValueSource(strings = {"dcgan", "stylegan"})
  void imagesAndScoresEqualTheReference(String name) {
    Fixture fixture = Fixture.load(name);
    JsonNode expected = fixture.expected();
    float[] latents = Fixture.floats(expected.path("latents"));
    int rows = expected.path("labels").size();
    int count = latents.length / rows;
    List<Request> requests = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      requests.add(
          new Request(
              Arrays.copyOfRange(latents, row * count, (row + 1) * count),
              expected.path("labels").path(row).asLong()));
    }
    for (JsonNode run : expected.path("cases")) {
      float[] scores = Fixture.floats(run.path("scores"));
      List<Made> made =
          ImageMaker.of(fixture.model(), run.path("psi").asDouble(), true).make(requests);
      for (int row = 0; row < rows; row++) {
        byte[] pixels =
            Base64.getDecoder().decode(run.path("images").path(row).path("rgb").asText());
        for (int i = 0; i < pixels.length; i++) {
          assertThat(made.get(row).image().pixels()[i] & 0xFF)
              .isCloseTo(pixels[i] & 0xFF, within(1));
        }
        assertThat(made.get(row).score()).isCloseTo(scores[row], within(1e-4f));
      }
    }
  }

  private static List<RgbImage> images(String pack, OptionValues options, Object... inputs)
      throws RowException {
    ImageSampler sampler = new ImageSampler(Fixture.load(pack).model(), options, new Budget(2));
    return sampler.infer(List.of(sampler.prepare(RowInputs.of(1, inputs)))).get(0).stream()
        .map(Made::image)
        .toList();
  }

  @Test
  void aSeedIsAnImageAndTheWayBetweenTwoEndsAtBoth() throws RowException {
    for (String pack : List.of("dcgan", "vae")) {
      OptionValues options =
          OptionValues.NONE
              .with(Sample.END_SEED.column(), "end")
              .with(Sample.INTERPOLATION_STEPS, 5);
      List<RgbImage> way = images(pack, options, "seed", 1, "end_seed", 2);
      assertThat(way.stream().map(i -> Arrays.hashCode(i.pixels()))).doesNotHaveDuplicates();
      assertThat(way).hasSize(5);
      for (int end = 0; end < 2; end++) {
        byte[] alone = images(pack, OptionValues.NONE, "seed", end + 1).get(0).pixels();
        byte[] onTheWay = way.get(4 * end).pixels();
        for (int i = 0; i < alone.length; i++) {
          assertThat(onTheWay[i] & 0xFF).isCloseTo(alone[i] & 0xFF, within(1));
        }
      }
    }
  }

  @Test
  void betweenLatentsTheWayKeepsTheirLength() {
    float[] half = ImageSampler.between(new float[] {3, 0}, new float[] {0, 3}, 0.5);
    assertThat(Math.hypot(half[0], half[1])).isCloseTo(3, within(1e-6));
    assertThat(half[0]).isEqualTo(half[1], within(1e-6f));
    assertThat(ImageSampler.between(new float[] {1, 2}, new float[] {1, 2}, 0.3))
        .containsExactly(new float[] {1, 2}, within(1e-6f));
  }

  @Test
  void withoutTruncationsReachAllImagesAreOne() throws RowException {
    OptionValues options = OptionValues.NONE.with(Sample.TRUNCATION_PSI, 0.0);
    assertThat(images("dcgan", options, "seed", 1).get(0).pixels())
        .isEqualTo(images("dcgan", options, "seed", 2).get(0).pixels());
  }

  private static List<String> problems(String pack, OptionValues options) {
    Problems problems = new Problems();
    new Sample().check(options, problems);
    new Sample().check(options, Fixture.load(pack).model().pack().spec(), problems);
    return problems.list().stream().map(Problem::toString).toList();
  }

  @Test
  void wrongOptionsAreTold() {
    assertThat(problems("stylegan", OptionValues.NONE))
        .containsExactly(
            "label-column: missing (expected: a column; the model paints images of a class)");
    assertThat(
            problems(
                "vae",
                OptionValues.NONE
                    .with(Sample.SCORE, true)
                    .with(Sample.INTERPOLATION_STEPS, 3)
                    .with(Sample.LABEL.column(), "label")))
        .containsExactly(
            "interpolation-steps: 3 (expected: only with end-seed-column)",
            "label-column: label (expected: none; the model knows no classes)",
            "score: a pack without discriminator (expected: one with it)");
  }
}
