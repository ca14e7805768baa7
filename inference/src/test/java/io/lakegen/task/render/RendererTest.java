package io.lakegen.task.render;

import static io.lakegen.task.render.RenderFixtures.assertClose;
import static io.lakegen.task.render.RenderFixtures.rgb;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.diffusion.DiffusionPipeline;
import io.lakegen.diffusion.DiffusionSpec;
import io.lakegen.diffusion.ImageRequest;
import io.lakegen.diffusion.NoiseSource;
import io.lakegen.diffusion.ScheduleTest;
import io.lakegen.diffusion.SchedulerConfig;
import io.lakegen.diffusion.SchedulerName;
import io.lakegen.image.ImageFiles;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.render.Renderer.PreparedRender;
import io.lakegen.task.render.Renderer.RenderedImage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
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
  private static final DiffusionSpec SPEC =
      MODEL.pack().spec().section("text-to-image", DiffusionSpec::read);

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
          renderer.request(
              renderer.prepare(input(prompts.get(i).asText(), image, 0)),
              (draw, n) -> own.clone()));
    }
    List<RgbImage> images =
        new DiffusionPipeline(MODEL, List.of(ScheduleTest.config(run)), SPEC).render(requests);
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
    OptionValues options =
        options(image)
            .with(Render.SCHEDULER, SchedulerName.DDIMScheduler)
            .with(Render.IMAGE.column(), "image")
            .with(Render.STRENGTH, run.path("strength").asDouble());
    Renderer renderer = new Renderer(MODEL, options, new Budget(MANY));
    byte[] file = ImageFiles.png(rgb(run.path("image")));
    PreparedRender row =
        renderer.prepare(RowInputs.of(0, "prompt", run.path("prompt").asText(), "image", file));
    NoiseSource noise =
        (draw, n) ->
            Fixture.floats(run.path(draw == NoiseSource.ENCODER ? "encoderNoise" : "noise"));
    SchedulerConfig config =
        SchedulerConfig.of(
            SchedulerName.DDIMScheduler, SPEC.base().scheduler(), false, new Problems());
    List<RgbImage> images =
        new DiffusionPipeline(MODEL, List.of(config), SPEC)
            .render(List.of(renderer.request(row, noise)));
    assertClose(images.get(0), run.path("result"), 2);
  }

  /** A row that overrides all that it can. */
  private static RowInput input(String prompt, ImageOptions image, long seed) {
    return RowInputs.of(
        -seed,
        "prompt",
        prompt,
        "seed",
        seed,
        "negative_prompt",
        image.negativePrompt(),
        "height",
        image.height(),
        "width",
        image.width(),
        "num_inference_steps",
        image.numInferenceSteps(),
        "guidance_scale",
        image.guidanceScale());
  }

  private static OptionValues options(ImageOptions image) {
    return OptionValues.NONE
        .with(Render.NEGATIVE_PROMPT, image.negativePrompt())
        .with(Render.HEIGHT, image.height())
        .with(Render.WIDTH, image.width())
        .with(Render.NUM_INFERENCE_STEPS, image.numInferenceSteps())
        .with(Render.GUIDANCE_SCALE, image.guidanceScale());
  }

  private static Renderer renderer(ImageOptions image) {
    return renderer(image, SchedulerName.DDIMScheduler, 1, MANY);
  }

  private static Renderer renderer(
      ImageOptions image, SchedulerName scheduler, int images, long budget) {
    OptionValues options =
        options(image).with(Render.SCHEDULER, scheduler).with(Render.NUM_IMAGES_PER_PROMPT, images);
    return new Renderer(MODEL, options, new Budget(budget));
  }

  /** With all but unCLIP's, which knows another schedule of noise only. */
  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "UnCLIPScheduler")
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
    assertThatThrownBy(() -> renderer.prepare(RowInputs.of(1, "prompt", "bread", "image", null)))
        .isInstanceOf(RowException.class)
        .hasMessage("the image is null (expected: an image file)");
    assertThatThrownBy(() -> renderer.prepare(RowInputs.of(1, "prompt", "bread", "height", "tall")))
        .isInstanceOf(RowException.class)
        .hasMessage("height: tall (expected: a whole number)");
  }

  private static List<String> problems(OptionValues options) {
    Problems problems = new Problems();
    new Render().check(options, problems);
    new Render().check(options, MODEL.pack().spec(), problems);
    return problems.list().stream().map(Problem::toString).toList();
  }

  @Test
  void invalidOptionsAreToldAllAtOnce() {
    Problems problems = new Problems();
    OptionValues.parse(
        new Render().data().options(),
        Map.of("strength", 0, "num-images-per-prompt", 65, "scheduler", "PNDM"),
        problems);
    assertThat(problems.list())
        .extracting(Problem::toString)
        .containsExactlyInAnyOrder(
            "strength: 0 (expected: above 0, at most 1)",
            "num-images-per-prompt: 65 (expected: 1 to 64)",
            "scheduler: PNDM (expected: one of " + List.of(SchedulerName.values()) + ")");
    assertThat(
            problems(
                options(new ImageOptions("", 33, 32, 3, 7.5))
                    .with(Render.SCHEDULER, SchedulerName.LCMScheduler)
                    .with(Render.USE_KARRAS_SIGMAS, true)
                    .with(Render.STRENGTH, 0.2)))
        .containsExactly(
            "use-karras-sigmas: with LCMScheduler (expected: one of EulerDiscreteScheduler,"
                + " HeunDiscreteScheduler, DPMSolverMultistepScheduler, DPMSolverSDEScheduler,"
                + " UniPCMultistepScheduler)",
            "strength: 0.2 (expected: only with image-column)",
            "height: 33 (expected: a multiple of 4 pixels, at most 4096)");
    assertThat(
            problems(
                options(new ImageOptions("", 32, 32, 3, 7.5))
                    .with(Render.SCHEDULER, SchedulerName.DDIMScheduler)
                    .with(Render.IMAGE.column(), "image")
                    .with(Render.STRENGTH, 0.2)))
        .containsExactly("strength: 0.2 leaves none of 3 steps (expected: at least one)");
  }

  /** A row of four images where out of memory has taught that only two fit. */
  @Test
  void aRowOfManyImagesKeepsToTheSharedBudget() throws RowException {
    Budget budget = new Budget(MANY);
    budget.exceeded(4 * 32 * 32);
    OptionValues options =
        options(IMAGE)
            .with(Render.SCHEDULER, SchedulerName.DDIMScheduler)
            .with(Render.NUM_IMAGES_PER_PROMPT, 4);
    Renderer renderer = new Renderer(MODEL, options, budget);
    assertThat(renderer.infer(List.of(renderer.prepare(input("bread", IMAGE, 3)))).get(0))
        .hasSize(4);
    assertThat(budget.current()).isEqualTo(2 * 32 * 32);
  }
}
