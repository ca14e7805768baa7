package io.lakegen.diffusion;

import io.lakegen.diffusion.DiffusionSpec.Latents;
import io.lakegen.model.PackSection;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import java.util.List;

/**
 * How a pack's autoencoder makes latents.
 *
 * @param anySize whether pictures may have another size than the pack's
 */
public record AutoencoderSpec(Latents latents, boolean anySize) {
  private static final String TASK = "autoencoding";
  private static final String DIFFUSION_TASK = "text-to-image";

  /** Tasks of packs that have an autoencoder. */
  public static final List<String> TASKS = List.of(TASK, DIFFUSION_TASK);

  /**
   * Reads it from a pack of one of the tasks.
   *
   * @param problems get what is wrong with it
   */
  public static AutoencoderSpec of(PackSpec pack, Problems problems) {
    return pack.tasks().contains(TASK)
        ? read(pack.section(TASK, problems))
        : new AutoencoderSpec(
            DiffusionSpec.read(pack.section(DIFFUSION_TASK, problems)).latents(), true);
  }

  /** Reads it from a pack that was checked before. */
  public static AutoencoderSpec of(PackSpec pack) {
    Problems problems = new Problems();
    AutoencoderSpec spec = of(pack, problems);
    problems.throwIfAny();
    return spec;
  }

  private static AutoencoderSpec read(PackSection section) {
    section.keys("latents", "anySize");
    return new AutoencoderSpec(
        section.section("latents").map(Latents::read).orElse(Latents.NONE),
        section.bool("anySize"));
  }

  /** Checks the size of pictures. */
  public void checkSize(PackSpec pack, int height, int width, Problems problems) {
    PackSpec.Image own = pack.image().orElseThrow();
    if (anySize) {
      latents.checkSide("height", height, problems);
      latents.checkSide("width", width, problems);
    } else if (height != own.height() || width != own.width()) {
      problems.add(
          "height, width",
          height + ", " + width,
          own.height() + ", " + own.width() + ", the only size of this model");
    }
  }
}
