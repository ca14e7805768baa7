package io.lakegen.task.diffusion;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.RowException;
import io.lakegen.task.diffusion.RenderOptions.ImageOptions;
import io.lakegen.task.diffusion.Renderer.PreparedRender;
import io.lakegen.task.diffusion.Renderer.RenderInput;
import io.lakegen.task.diffusion.Renderer.RenderedImage;
import io.lakegen.task.text.Fixture;
import io.lakegen.task.vision.ImageFiles;
import io.lakegen.task.vision.RgbImage;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Images of a tiny random Stable Diffusion against diffusers' of the same, and among themselves.
 */
class RendererTest {
  private static final Fixture FIXTURE = Fixture.load("stable-diffusion");
  private static final LoadedModel MODEL = FIXTURE.model();
  private static final ImageOptions IMAGE = new ImageOptions("", 32, 32, 8, 7.5);
  private static final long MANY = 1 << 20;

  static Stream<Arguments> runs() {
    return Fixture.stream(FIXTURE.expected().path("runs"))
        .map(r -> Arguments.of(r.path("name").asText(), r));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("runs")
  void imagesEqualDiffusers(String name, JsonNode run) throws RowException {
    float[] noise = Fixture.floats(FIXTURE.expected().path("noise"));
    JsonNode prompts = FIXTURE.expected().path("prompts");
    int count = noise.length / prompts.size();
    ImageOptions image =
        new ImageOptions(
            run.path("negativePrompt").asText("").replace("null", ""),
            32,
            32,
            run.path("numInferenceSteps").asInt(),
            run.path("guidanceScale").asDouble());
    Renderer renderer = renderer(image);
    List<ImageRequest> requests = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      float[] own = Arrays.copyOfRange(noise, i * count, (i + 1) * count);
      requests.add(
          request(
              renderer.prepare(input(prompts.get(i).asText(), image, 0)),
              (draw, n) -> own.clone()));
    }
    List<RgbImage> images = new DiffusionPipeline(MODEL, ScheduleTest.config(run)).render(requests);
    for (int i = 0; i < images.size(); i++) {
      assertClose(images.get(i), run.path("images").get(i), 2);
    }
  }

  @Test
  void imagesFromImagesEqualDiffusers() throws RowException {
    JsonNode run = FIXTURE.expected().path("imageToImage");
    ImageOptions image =
        new ImageOptions(
            "",
            32,
            32,
            run.path("numInferenceSteps").asInt(),
            run.path("guidanceScale").asDouble());
    RenderOptions options =
        new RenderOptions(
            image, SchedulerName.DDIMScheduler, false, run.path("strength").asDouble(), 1);
    Renderer renderer = new Renderer(MODEL, options, true, MANY);
    byte[] file = ImageFiles.png(rgb(run.path("image")));
    PreparedRender row =
        renderer.prepare(
            new RenderInput(
                run.path("prompt").asText().getBytes(StandardCharsets.UTF_8),
                image,
                0,
                true,
                file));
    NoiseSource noise =
        (draw, n) ->
            Fixture.floats(run.path(draw == NoiseSource.ENCODER ? "encoderNoise" : "noise"));
    SchedulerConfig config =
        SchedulerConfig.of(SchedulerName.DDIMScheduler, MODEL.pack().spec().scheduler(), false);
    List<RgbImage> images =
        new DiffusionPipeline(MODEL, config).render(List.of(request(row, noise)));
    assertClose(images.get(0), run.path("result"), 2);
  }

  private static ImageRequest request(PreparedRender row, NoiseSource noise) {
    return new ImageRequest(
        row.ids(),
        row.negativeIds(),
        noise,
        row.options().height(),
        row.options().width(),
        row.options().numInferenceSteps(),
        row.options().guidanceScale(),
        row.start(),
        row.begin());
  }

  private static RgbImage rgb(JsonNode picture) {
    int height = picture.path("height").asInt();
    int width = picture.path("width").asInt();
    return new RgbImage(
        Base64.getDecoder().decode(picture.path("rgb").asText()), height, width, height, width);
  }

  private static void assertClose(RgbImage actual, JsonNode expected, int levels) {
    assertClose(actual, rgb(expected), levels);
  }

  private static void assertClose(RgbImage actual, RgbImage expected, int levels) {
    assertThat(actual.pixels()).hasSameSizeAs(expected.pixels());
    int largest = 0;
    for (int i = 0; i < actual.pixels().length; i++) {
      largest =
          Math.max(largest, Math.abs((actual.pixels()[i] & 0xFF) - (expected.pixels()[i] & 0xFF)));
    }
    assertThat(largest).isLessThanOrEqualTo(levels);
  }

  private static RenderInput input(String prompt, ImageOptions image, long seed) {
    return new RenderInput(prompt.getBytes(StandardCharsets.UTF_8), image, seed, false, null);
  }

  private static Renderer renderer(ImageOptions image) {
    return renderer(image, SchedulerName.DDIMScheduler, 1, MANY);
  }

  private static Renderer renderer(
      ImageOptions image, SchedulerName scheduler, int images, long passPixels) {
    return new Renderer(
        MODEL, new RenderOptions(image, scheduler, false, 0.8, images), false, passPixels);
  }

  @ParameterizedTest
  @EnumSource
  void anImageDoesNotDependOnItsBatch(SchedulerName scheduler) throws RowException {
    Renderer renderer = renderer(IMAGE, scheduler, 1, MANY);
    List<PreparedRender> rows = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      rows.add(renderer.prepare(input("a boat on lake " + i, IMAGE, 100 + i)));
    }
    List<List<RenderedImage>> together = renderer.infer(rows);
    for (int i = 0; i < rows.size(); i++) {
      RgbImage alone = renderer.infer(List.of(rows.get(i))).get(0).get(0).pixels();
      assertClose(together.get(i).get(0).pixels(), alone, 1);
    }
    assertThat(together.get(0).get(0).pixels().pixels())
        .as("another seed, another image")
        .isNotEqualTo(together.get(1).get(0).pixels().pixels());
  }

  /** A row of five images that are rendered two at a time, and all at once. */
  @Test
  void manyImagesOfARowAreRenderedInPasses() throws RowException {
    PreparedRender row = renderer(IMAGE).prepare(input("bread", IMAGE, 7));
    List<RenderedImage> inPasses =
        renderer(IMAGE, SchedulerName.EulerAncestralDiscreteScheduler, 5, 2 * 32 * 32)
            .infer(List.of(row))
            .get(0);
    List<RenderedImage> atOnce =
        renderer(IMAGE, SchedulerName.EulerAncestralDiscreteScheduler, 5, MANY)
            .infer(List.of(row))
            .get(0);
    assertThat(inPasses).hasSize(5);
    for (int i = 0; i < 5; i++) {
      assertClose(inPasses.get(i).pixels(), atOnce.get(i).pixels(), 1);
    }
    assertThat(inPasses.stream().map(i -> Arrays.hashCode(i.pixels().pixels())))
        .doesNotHaveDuplicates();
  }

  @Test
  void rowsOfOneBatchAgreeInSizeStepsAndGuidance() throws RowException {
    Renderer renderer = renderer(IMAGE);
    List<Object> groups = new ArrayList<>();
    for (ImageOptions image :
        List.of(
            IMAGE,
            new ImageOptions("", 64, 32, 8, 7.5),
            new ImageOptions("", 32, 32, 9, 7.5),
            new ImageOptions("", 32, 32, 8, 1))) {
      groups.add(renderer.group(renderer.prepare(input("bread", image, 1))));
    }
    assertThat(groups).doesNotHaveDuplicates();
    PreparedRender other =
        renderer.prepare(input("a boat", new ImageOptions("water", 32, 32, 8, 3), 2));
    assertThat(renderer.group(other)).isEqualTo(groups.get(0));
  }

  @Test
  void aLongPromptIsFlagged() throws RowException {
    Renderer renderer = renderer(IMAGE);
    assertThat(renderer.prepare(input("bread ".repeat(100), IMAGE, 1)).truncated()).isTrue();
    assertThat(renderer.prepare(input("bread", IMAGE, 1)).truncated()).isFalse();
  }

  @Test
  void badRowsAreRejected() {
    Renderer renderer = renderer(IMAGE);
    assertThatThrownBy(
            () ->
                renderer.prepare(input("bread", new ImageOptions("", 33, 9000, 0, Double.NaN), 1)))
        .isInstanceOf(RowException.class)
        .hasMessage(
            "height: 33 (expected: a multiple of 4 pixels, at most 4096); "
                + "width: 9000 (expected: a multiple of 4 pixels, at most 4096); "
                + "num-inference-steps: 0 (expected: 1 to 999); "
                + "guidance-scale: NaN (expected: a number)");
    assertThatThrownBy(() -> renderer.prepare(input(" ", IMAGE, 1)))
        .isInstanceOf(RowException.class)
        .hasMessageContaining("only white space");
    RenderOptions options = new RenderOptions(IMAGE, SchedulerName.DDIMScheduler, false, 0.5, 1);
    Renderer fromImages = new Renderer(MODEL, options, true, MANY);
    assertThatThrownBy(
            () -> fromImages.prepare(new RenderInput(new byte[] {'a'}, IMAGE, 1, true, null)))
        .isInstanceOf(RowException.class)
        .hasMessage("the image is null (expected: an image file)");
  }

  @Test
  void wrongOptionsAreToldAllAtOnce() {
    assertThatThrownBy(() -> new RenderOptions(IMAGE, SchedulerName.LCMScheduler, true, 0, 65))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("use-karras-sigmas: with LCMScheduler")
        .hasMessageContaining("strength: 0.0 (expected: above 0, at most 1)")
        .hasMessageContaining("num-images-per-prompt: 65 (expected: 1 to 64)");
    assertThat(
            Renderer.problems(
                MODEL.pack().spec(),
                new RenderOptions(
                    new ImageOptions("", 32, 32, 3, 7.5),
                    SchedulerName.DDIMScheduler,
                    false,
                    0.2,
                    1),
                true))
        .containsExactly("strength: 0.2 leaves none of 3 steps (expected: at least one)");
  }
}
