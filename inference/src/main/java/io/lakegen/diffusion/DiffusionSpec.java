package io.lakegen.diffusion;

import io.lakegen.model.PackSection;
import java.util.Map;

/**
 * The section of a pack for tasks that render by latent diffusion.
 *
 * @param scheduler diffusers' {@code scheduler_config.json}
 */
public record DiffusionSpec(Map<String, Object> scheduler, Latents latents) {
  public DiffusionSpec {
    scheduler = Map.copyOf(scheduler);
  }

  /**
   * The latent space.
   *
   * @param channels channels of a latent
   * @param scale pixels per latent along each side
   * @param multiple sides of a latent image are multiples of this, since the model halves them
   * @param scalingFactor what latents are divided by before decoding
   */
  public record Latents(int channels, int scale, int multiple, double scalingFactor) {
    private static Latents read(PackSection section) {
      section.keys("channels", "scale", "multiple", "scalingFactor");
      return new Latents(
          section.positive("channels"),
          section.positive("scale"),
          section.positive("multiple"),
          section.positiveNumber("scalingFactor"));
    }

    /** Sides of an image are multiples of this many pixels. */
    public int pixelMultiple() {
      return scale * multiple;
    }
  }

  /** Reads and checks the section. */
  public static DiffusionSpec read(PackSection section) {
    section.keys("scheduler", "latents");
    return new DiffusionSpec(
        section.values("scheduler"),
        section.section("latents").map(Latents::read).orElse(new Latents(1, 1, 1, 1)));
  }
}
