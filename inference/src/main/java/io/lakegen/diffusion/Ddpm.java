package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Memory;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Range;
import io.lakegen.diffusion.Schedule.Step;
import io.lakegen.diffusion.SchedulerConfig.Variance;
import java.util.ArrayList;
import java.util.List;

/**
 * Denoising diffusion probabilistic models (arXiv 2006.11239, equations 6 and 7) over some of the
 * training's timesteps, with learned variances too (arXiv 2102.09672, equation 15).
 */
final class Ddpm {
  /** Smallest variance, as diffusers has it, so that its logarithm is finite. */
  private static final double LEAST = 1e-20;

  private Ddpm() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    return schedule(config, Ddim.timesteps(config, count), begin);
  }

  /**
   * Steps over given timesteps.
   *
   * @param timesteps latest first
   */
  static Schedule schedule(SchedulerConfig config, int[] timesteps, int begin) {
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < timesteps.length; i++) {
      steps.add(step(config, timesteps[i], i + 1 < timesteps.length ? timesteps[i + 1] : -1));
    }
    return new Schedule(steps, 1, config.clip());
  }

  private static Step step(SchedulerConfig config, int timestep, int following) {
    double now = config.alphasCumprod()[timestep];
    double next = following < 0 ? 1 : config.alphasCumprod()[following];
    double beta = beta(config, timestep, following, now / next);
    double image = Math.sqrt(next) * beta / (1 - now);
    double latent = Math.sqrt(1 - beta) * (1 - next) / (1 - now);
    double variance = Math.max(LEAST, (1 - next) / (1 - now) * beta);
    Range range = null;
    double noise = 0;
    if (timestep > 0 && config.variance() == Variance.learned_range) {
      range = new Range(Math.log(variance), Math.log(beta));
      noise = 1;
    } else if (timestep > 0 && config.variance() == Variance.fixed_large) {
      noise = Math.sqrt(beta);
    } else if (following >= 0) {
      noise = Math.sqrt(variance);
    }
    Level level = Level.ofVariance(now);
    return new Step(
        timestep,
        1,
        level,
        Memory.x0(config.prediction(), level),
        new Mix(latent, 0, 0, noise, image),
        range);
  }

  /**
   * The variance that a step's noise had in training. Of single timesteps unCLIP takes it from the
   * training's own list, which near the end differs from what the products say by their rounding.
   */
  private static double beta(SchedulerConfig config, int timestep, int following, double kept) {
    boolean single = following == timestep - 1;
    return single && config.name() == SchedulerName.UnCLIPScheduler
        ? (float) SchedulerConfig.cosineBeta(timestep, config.trainTimesteps())
        : 1 - kept;
  }
}
