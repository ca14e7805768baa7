package io.lakegen.task.render;

import io.lakegen.diffusion.DiffusionSpec;
import io.lakegen.diffusion.ImageRequest;
import io.lakegen.diffusion.SchedulerConfig;
import io.lakegen.diffusion.StageSpec;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.render.Render.Overridable;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;

/**
 * Options of one row.
 *
 * @param negativePrompt what guidance leads away from; may be empty
 * @param height in pixels
 * @param width in pixels
 * @param numInferenceSteps from pure noise
 * @param guidanceScale weight of the prompt; 1 or less for no guidance
 */
record ImageOptions(
    String negativePrompt, int height, int width, int numInferenceSteps, double guidanceScale) {
  /** Those of all rows that override nothing. */
  static ImageOptions of(OptionValues options, PackSpec.Image size, StageSpec base) {
    ImageRequest.Way way = StageOptions.way(base, options);
    Integer height = options.get(Render.HEIGHT);
    Integer width = options.get(Render.WIDTH);
    return new ImageOptions(
        options.get(Render.NEGATIVE_PROMPT),
        height == null ? size.height() : height,
        width == null ? size.width() : width,
        way.steps(),
        way.guidanceScale());
  }

  /** These options with what a row overrides. */
  ImageOptions overriddenBy(RowInput row) throws RowException {
    byte[] negative = row.bytes(Overridable.negative_prompt.name());
    return new ImageOptions(
        negative == null ? negativePrompt : new String(negative, StandardCharsets.UTF_8),
        side(row, Overridable.height, height),
        side(row, Overridable.width, width),
        side(row, Overridable.num_inference_steps, numInferenceSteps),
        number(row, Overridable.guidance_scale, guidanceScale));
  }

  private static int side(RowInput row, Overridable option, int otherwise) throws RowException {
    return (int) whole(row, option, otherwise, Integer.MAX_VALUE);
  }

  /** The seed of a row. */
  static long seed(RowInput row) throws RowException {
    return whole(row, Overridable.seed, row.seed(), Long.MAX_VALUE);
  }

  private static double number(RowInput row, Overridable option, double otherwise)
      throws RowException {
    byte[] bytes = row.bytes(option.name());
    if (bytes == null) {
      return otherwise;
    }
    String text = new String(bytes, StandardCharsets.UTF_8);
    try {
      return Double.parseDouble(text);
    } catch (NumberFormatException e) {
      throw bad(option, text, "a number");
    }
  }

  private static long whole(RowInput row, Overridable option, long otherwise, long most)
      throws RowException {
    byte[] bytes = row.bytes(option.name());
    if (bytes == null) {
      return otherwise;
    }
    String text = new String(bytes, StandardCharsets.UTF_8);
    try {
      long value = new BigDecimal(text.strip()).longValueExact();
      if (value <= most && value >= -most - 1) {
        return value;
      }
    } catch (ArithmeticException | NumberFormatException e) {
      // Said below.
    }
    throw bad(option, text, "a whole number");
  }

  private static RowException bad(Overridable option, String found, String expected) {
    return RowException.prepare(
        "bad_option", option + ": " + found + " (expected: " + expected + ")");
  }

  /** Checks what the model can render. */
  void check(DiffusionSpec.Latents latents, SchedulerConfig scheduler, Problems problems) {
    latents.checkSide("height", height, problems);
    latents.checkSide("width", width, problems);
    checkSteps(Render.NUM_INFERENCE_STEPS.name(), numInferenceSteps, scheduler, problems);
    if (!Double.isFinite(guidanceScale)) {
      problems.add(Render.GUIDANCE_SCALE.name(), guidanceScale, "a number");
    }
  }

  /** Checks a number of steps. */
  static void checkSteps(String key, int steps, SchedulerConfig scheduler, Problems problems) {
    if (steps < scheduler.minSteps() || steps > scheduler.maxSteps()) {
      problems.add(key, steps, scheduler.minSteps() + " to " + scheduler.maxSteps());
    }
  }

  /** Checks that starting from an image leaves a step to make. */
  void checkStrength(double strength, Problems problems) {
    if (stepsFromImage(strength) < 1) {
      problems.add(
          Render.STRENGTH.name(),
          strength + " leaves none of " + numInferenceSteps + " steps",
          "at least one");
    }
  }

  /** Steps that are made where an image is the start. */
  int stepsFromImage(double strength) {
    return (int) (numInferenceSteps * strength);
  }
}
