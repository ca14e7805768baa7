package io.lakegen.task.render;

import static io.lakegen.task.render.RenderFixtures.assertClose;
import static io.lakegen.task.render.RenderFixtures.rgb;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.diffusion.ImageRequest;
import io.lakegen.diffusion.NoiseSource;
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
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Kinds of diffusion models, each a tiny random one, against what diffusers paints with them. */
class RenderKindsTest {
  private static OptionValues options(JsonNode run) {
    return OptionValues.NONE
        .with(Render.HEIGHT, 32)
        .with(Render.WIDTH, 32)
        .with(Render.NUM_INFERENCE_STEPS, run.path("numInferenceSteps").asInt())
        .with(Render.GUIDANCE_SCALE, run.path("guidanceScale").asDouble());
  }

  private static Renderer renderer(LoadedModel model, OptionValues options) {
    return new Renderer(model, options, new Budget(1 << 20));
  }

  static Stream<Arguments> textsToImages() {
    return Stream.of(
            "stable-diffusion-xl", "stable-diffusion-3", "sana", "stable-diffusion-controlnet")
        .flatMap(
            kind ->
                Fixture.stream(Fixture.load(kind).expected().path("runs"))
                    .map(run -> Arguments.of(kind, run.path("name").asText(), run)));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("textsToImages")
  void imagesEqualDiffusers(String kind, String name, JsonNode run) throws RowException {
    Fixture fixture = Fixture.load(kind);
    JsonNode prompts = fixture.expected().path("prompts");
    float[] noise = Fixture.floats(fixture.expected().path("noise"));
    int count = noise.length / prompts.size();
    OptionValues options = options(run);
    if (run.hasNonNull("negativePrompt")) {
      options = options.with(Render.NEGATIVE_PROMPT, run.path("negativePrompt").asText());
    }
    byte[] control = null;
    if (fixture.expected().has("control")) {
      control = ImageFiles.png(rgb(fixture.expected().path("control")));
      options =
          options
              .with(Render.CONTROL.column(), "control")
              .with(
                  Render.CONTROLNET_CONDITIONING_SCALE,
                  fixture.expected().path("scale").asDouble());
    }
    Renderer renderer = renderer(fixture.model(), options);
    List<ImageRequest> requests = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      float[] own = Arrays.copyOfRange(noise, i * count, (i + 1) * count);
      requests.add(
          renderer.request(
              renderer.prepare(
                  control == null
                      ? RowInputs.of("prompt", prompts.get(i).asText())
                      : RowInputs.of(1, "prompt", prompts.get(i).asText(), "control", control)),
              (draw, n) -> own.clone()));
    }
    List<RgbImage> images = renderer.render(requests);
    for (int i = 0; i < images.size(); i++) {
      assertClose(images.get(i), run.path("images").get(i), 2);
    }
  }

  static Stream<Arguments> repairs() throws IOException {
    return Fixture.stream(Fixture.json("stable-diffusion-inpaint").path("runs"))
        .map(run -> Arguments.of(run.path("name").asText(), run));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("repairs")
  void inpaintingEqualsDiffusers(String name, JsonNode run) throws Exception {
    JsonNode expected = Fixture.json("stable-diffusion-inpaint");
    LoadedModel model = Fixture.load(run.path("pack").asText()).model();
    OptionValues options =
        options(run)
            .with(Render.IMAGE.column(), "image")
            .with(Render.MASK.column(), "mask")
            .with(Render.STRENGTH, run.path("strength").asDouble());
    Renderer renderer = renderer(model, options);
    PreparedRender row =
        renderer.prepare(
            RowInputs.of(
                1,
                "prompt",
                expected.path("prompt").asText(),
                "image",
                ImageFiles.png(rgb(expected.path("image"))),
                "mask",
                ImageFiles.png(rgb(expected.path("mask")))));
    NoiseSource noise =
        (draw, n) ->
            Fixture.floats(
                run.path(
                    draw == NoiseSource.ENCODER
                        ? "encoderNoise"
                        : draw == NoiseSource.MASKED ? "maskedNoise" : "noise"));
    List<RgbImage> images = renderer.render(List.of(renderer.request(row, noise)));
    assertClose(images.get(0), run.path("result"), 2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"stable-diffusion-upscale", "stable-diffusion-latent-upscale"})
  void enlargedPicturesEqualDiffusers(String kind) throws RowException {
    Fixture fixture = Fixture.load(kind);
    JsonNode expected = fixture.expected();
    OptionValues options =
        OptionValues.NONE
            .with(Render.NUM_INFERENCE_STEPS, expected.path("numInferenceSteps").asInt())
            .with(Render.GUIDANCE_SCALE, expected.path("guidanceScale").asDouble())
            .with(Render.IMAGE.column(), "image");
    if (expected.has("noiseLevel")) {
      options = options.with(Render.NOISE_LEVEL, expected.path("noiseLevel").asInt());
    }
    assertThat(problems(kind, options)).isEmpty();
    Renderer renderer = renderer(fixture.model(), options);
    PreparedRender row =
        renderer.prepare(
            RowInputs.of(
                1,
                "prompt",
                expected.path("prompt").asText(),
                "image",
                ImageFiles.png(rgb(expected.path("image")))));
    assertThat(row.options().height()).isEqualTo(32);
    assertThat(row.options().width()).isEqualTo(48);
    NoiseSource noise =
        (draw, n) ->
            Fixture.floats(
                expected.path(
                    draw == NoiseSource.LOW_RESOLUTION
                        ? "lowResolutionNoise"
                        : draw == NoiseSource.ENCODER ? "encoderNoise" : "noise"));
    List<RgbImage> images = renderer.render(List.of(renderer.request(row, noise)));
    assertClose(images.get(0), expected.path("result"), 2);
  }

  static Stream<Arguments> cascades() throws IOException {
    List<Arguments> runs = new ArrayList<>();
    for (String kind : List.of("unclip", "deepfloyd-if")) {
      for (JsonNode run : Fixture.json(kind).path("runs")) {
        runs.add(Arguments.of(kind, run.path("name").asText(), run));
      }
    }
    return runs.stream();
  }

  private static OptionValues cascade(JsonNode expected, JsonNode run) {
    JsonNode steps = expected.path("steps");
    JsonNode scales = run.path("guidanceScales");
    int base = steps.size() - 2;
    OptionValues options =
        OptionValues.NONE
            .with(Render.NUM_INFERENCE_STEPS, steps.path(base).asInt())
            .with(Render.GUIDANCE_SCALE, scales.path(base).asDouble())
            .with(StageOptions.SUPER_RES_NUM_INFERENCE_STEPS, steps.path(base + 1).asInt());
    if (base > 0) {
      options =
          options
              .with(StageOptions.PRIOR_NUM_INFERENCE_STEPS, steps.path(0).asInt())
              .with(StageOptions.PRIOR_GUIDANCE_SCALE, scales.path(0).asDouble());
    }
    if (!scales.path(base + 1).isNull()) {
      options =
          options.with(StageOptions.SUPER_RES_GUIDANCE_SCALE, scales.path(base + 1).asDouble());
    }
    if (expected.has("noiseLevel")) {
      options = options.with(Render.NOISE_LEVEL, expected.path("noiseLevel").asInt());
    }
    return run.hasNonNull("negativePrompt")
        ? options.with(Render.NEGATIVE_PROMPT, run.path("negativePrompt").asText())
        : options;
  }

  /** All stages, each with noise of its own. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cascades")
  void cascadesEqualDiffusers(String kind, String name, JsonNode run) throws RowException {
    Fixture fixture = Fixture.load(kind);
    JsonNode expected = fixture.expected();
    JsonNode prompts = expected.path("prompts");
    OptionValues options = cascade(expected, run);
    assertThat(problems(kind, options)).isEmpty();
    Renderer renderer = renderer(fixture.model(), options);
    List<ImageRequest> requests = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      int row = i;
      NoiseSource noise =
          (draw, n) -> {
            int stage = (draw + 2) / NoiseSource.STAGE;
            int own = draw - stage * NoiseSource.STAGE;
            JsonNode ofStage = expected.path("noise").path(stage);
            float[] all =
                Fixture.floats(
                    own == NoiseSource.LOW_RESOLUTION
                        ? expected.path("lowResolutionNoise")
                        : ofStage.path(
                            own == NoiseSource.START ? 0 : 1 + own - NoiseSource.FIRST_STEP));
            return Arrays.copyOfRange(all, row * n, (row + 1) * n);
          };
      requests.add(
          renderer.request(
              renderer.prepare(RowInputs.of("prompt", prompts.get(i).asText())), noise));
    }
    List<RgbImage> images = renderer.render(requests);
    for (int i = 0; i < images.size(); i++) {
      assertClose(images.get(i), run.path("images").get(i), 2);
    }
  }

  /** Rows of a kind, with what the kind needs besides a prompt. */
  private static RowInput row(String kind, int number) {
    byte[] picture = new byte[3 * 32 * 32];
    for (int i = 0; i < picture.length; i++) {
      picture[i] = (byte) (i * (3 + number) / 7);
    }
    byte[] file = ImageFiles.png(new RgbImage(picture, 32, 32, 32, 32));
    String prompt = "a boat on lake " + number;
    return switch (kind) {
      case "stable-diffusion-inpaint" ->
          RowInputs.of(number, "prompt", prompt, "image", file, "mask", file);
      case "stable-diffusion-controlnet" -> RowInputs.of(number, "prompt", prompt, "control", file);
      case "stable-diffusion-upscale", "stable-diffusion-latent-upscale" ->
          RowInputs.of(number, "prompt", prompt, "image", file);
      default -> RowInputs.of(number, "prompt", prompt);
    };
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "stable-diffusion-inpaint",
        "stable-diffusion-xl",
        "stable-diffusion-3",
        "sana",
        "stable-diffusion-controlnet",
        "stable-diffusion-upscale",
        "stable-diffusion-latent-upscale",
        "unclip",
        "deepfloyd-if"
      })
  void anImageDoesNotDependOnItsBatch(String kind) throws RowException {
    OptionValues options = OptionValues.NONE.with(Render.NUM_INFERENCE_STEPS, 4);
    Renderer renderer = renderer(Fixture.load(kind).model(), options);
    List<PreparedRender> rows = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      rows.add(renderer.prepare(row(kind, i)));
    }
    List<List<Renderer.RenderedImage>> together = renderer.infer(rows);
    for (int i = 0; i < rows.size(); i++) {
      RgbImage alone = renderer.infer(List.of(rows.get(i))).get(0).get(0).pixels();
      assertClose(together.get(i).get(0).pixels(), alone, 1);
    }
  }

  private static List<String> problems(String pack, OptionValues options) {
    Problems problems = new Problems();
    new Render().check(options, problems);
    new Render().check(options, Fixture.load(pack).model().pack().spec(), problems);
    return problems.list().stream().map(Problem::toString).toList();
  }

  @Test
  void aModelForInpaintingNeedsMasksAndMasksNeedImages() {
    assertThat(problems("stable-diffusion-inpaint", OptionValues.NONE))
        .containsExactly(
            "mask-column: missing (expected: a column of masks; the model paints masked parts"
                + " only)");
    assertThat(problems("stable-diffusion", OptionValues.NONE.with(Render.MASK.column(), "mask")))
        .containsExactly("mask-column: mask (expected: only with image-column)");
  }

  @Test
  void aModelsPicturesAreAskedForAndOthersRefused() {
    assertThat(problems("stable-diffusion-controlnet", OptionValues.NONE))
        .containsExactly(
            "control-column: missing (expected: a column of pictures; the model follows them)");
    assertThat(
            problems(
                "stable-diffusion",
                OptionValues.NONE
                    .with(Render.CONTROL.column(), "edges")
                    .with(Render.NOISE_LEVEL, 3)))
        .containsExactly(
            "control-column: edges (expected: none; the model is no ControlNet)",
            "noise-level: 3 (expected: none; the model enlarges nothing)");
    assertThat(
            problems(
                "stable-diffusion-upscale",
                OptionValues.NONE.with(Render.CONTROLNET_CONDITIONING_SCALE, 0.5)))
        .containsExactly(
            "controlnet-conditioning-scale: 0.5 (expected: only with control-column)",
            "image-column: missing (expected: a column of pictures; the model enlarges them)");
  }
}
