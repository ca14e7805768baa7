package io.lakegen.diffusion;

import io.lakegen.model.PackSection;
import io.lakegen.problem.Problems;
import java.util.List;
import java.util.Map;

/**
 * The section of a pack for tasks that render by latent diffusion.
 *
 * @param scheduler diffusers' {@code scheduler_config.json}
 * @param lowResolutionScheduler likewise, of the noise that is added to pictures to enlarge; may be
 *     empty
 * @param conditions what the denoiser takes after latents, time and texts, in this order
 */
public record DiffusionSpec(
    Map<String, Object> scheduler,
    Map<String, Object> lowResolutionScheduler,
    Latents latents,
    List<Condition> conditions) {
  public DiffusionSpec {
    scheduler = Map.copyOf(scheduler);
    lowResolutionScheduler = Map.copyOf(lowResolutionScheduler);
    conditions = List.copyOf(conditions);
  }

  /** Conditions by their names in packs, where their inputs are described. */
  public enum Condition {
    /** A mask and the latents of a picture without what is masked. */
    inpaint,
    /** A picture that the image follows, such as edges or depths, and how closely. */
    control,
    /** A picture to enlarge, with a little noise, and how much. */
    lowResolution
  }

  /**
   * The latent space.
   *
   * @param channels channels of a latent
   * @param scale pixels per latent along each side
   * @param multiple sides of a latent image are multiples of this, since the model halves them
   * @param scalingFactor what latents are divided by before decoding
   * @param shift what is added to them then
   * @param maxSide longest side of an image in pixels
   */
  public record Latents(
      int channels, int scale, int multiple, double scalingFactor, double shift, int maxSide) {
    private static final int MAX_SIDE = 4096;

    /** Of a section that is wrong. */
    static final Latents NONE = new Latents(1, 1, 1, 1, 0, MAX_SIDE);

    static Latents read(PackSection section) {
      section.keys("channels", "scale", "multiple", "scalingFactor", "shift", "maxSide");
      return new Latents(
          section.positive("channels"),
          section.positive("scale"),
          section.positive("multiple"),
          section.positiveNumber("scalingFactor"),
          section.number("shift", 0),
          section.has("maxSide") ? section.positive("maxSide") : MAX_SIDE);
    }

    /** Checks a side of an image. */
    public void checkSide(String key, int value, Problems problems) {
      int multiple = pixelMultiple();
      if (value < multiple || value > maxSide || value % multiple != 0) {
        problems.add(key, value, "a multiple of " + multiple + " pixels, at most " + maxSide);
      }
    }

    /** Sides of an image are multiples of this many pixels. */
    public int pixelMultiple() {
      return scale * multiple;
    }
  }

  /** Whether the model enlarges pictures. */
  public boolean enlarges() {
    return conditions.contains(Condition.lowResolution);
  }

  /** Reads and checks the section. */
  public static DiffusionSpec read(PackSection section) {
    section.keys("scheduler", "lowResolutionScheduler", "latents", "conditions");
    return new DiffusionSpec(
        section.values("scheduler"),
        section.has("lowResolutionScheduler") ? section.values("lowResolutionScheduler") : Map.of(),
        section.section("latents").map(Latents::read).orElse(Latents.NONE),
        section.constants("conditions", Condition.class));
  }
}
