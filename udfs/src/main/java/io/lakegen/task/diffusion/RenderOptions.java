package io.lakegen.task.diffusion;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/**
 * How images are rendered, with the names and meaning of diffusers' Stable Diffusion pipelines.
 *
 * @param image what a row can have otherwise
 * @param scheduler takes the place of the pack's own
 * @param karrasSigmas space the steps by Karras et al. (arXiv 2206.00364) even if the pack does not
 * @param strength share of the steps that is made where an image is the start: above 0, at most 1
 * @param numImagesPerPrompt images for each row, of the same seed
 */
public record RenderOptions(
    ImageOptions image,
    SchedulerName scheduler,
    boolean karrasSigmas,
    double strength,
    int numImagesPerPrompt)
    implements Serializable {
  /** All images of a row are in memory at once. */
  private static final int MAX_IMAGES = 64;

  /**
   * Options of one row.
   *
   * @param negativePrompt what guidance leads away from; may be empty
   * @param height in pixels
   * @param width in pixels
   * @param numInferenceSteps from pure noise
   * @param guidanceScale weight of the prompt; 1 or less for no guidance
   */
  public record ImageOptions(
      String negativePrompt, int height, int width, int numInferenceSteps, double guidanceScale)
      implements Serializable {}

  /**
   * @throws IllegalArgumentException if anything is wrong; the message names every mistake
   */
  @SuppressWarnings("MissingSummary")
  public RenderOptions {
    List<String> problems = new ArrayList<>();
    if (karrasSigmas && !scheduler.takesKarrasSigmas()) {
      problems.add(
          "use-karras-sigmas: with "
              + scheduler
              + " (expected: "
              + SchedulerName.EulerDiscreteScheduler
              + " or "
              + SchedulerName.DPMSolverMultistepScheduler
              + ")");
    }
    if (!(strength > 0 && strength <= 1)) {
      problems.add("strength: " + strength + " (expected: above 0, at most 1)");
    }
    if (numImagesPerPrompt < 1 || numImagesPerPrompt > MAX_IMAGES) {
      problems.add(
          "num-images-per-prompt: " + numImagesPerPrompt + " (expected: 1 to " + MAX_IMAGES + ")");
    }
    if (!problems.isEmpty()) {
      throw new IllegalArgumentException(String.join("\n", problems));
    }
  }
}
