package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Memory;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import java.util.ArrayList;
import java.util.List;

/**
 * DPM-Solver++ (arXiv 2211.01095), second order, multistep; over the stochastic equation too, which
 * adds noise after each step.
 */
final class DpmSolverMultistep {
  private DpmSolverMultistep() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    SigmaGrid grid =
        config.flow() ? SigmaGrid.flow(config, count) : SigmaGrid.rounded(config, count);
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      steps.add(step(config, grid.timesteps()[i], grid.sigmas(), i, begin));
    }
    return new Schedule(steps, 1, config.clip());
  }

  /** Equations of the second order where there is a last step; the end, at no noise, is x0. */
  private static Step step(
      SchedulerConfig config, double timestep, double[] sigmas, int i, int begin) {
    double now = sigmas[i];
    double next = sigmas[i + 1];
    Level level = SigmaGrid.level(config, now);
    Level after = SigmaGrid.level(config, next);
    // With lambda = -log(sigma), exp(-h) is the quotient of the sigmas.
    double decay = config.stochastic() ? next / now * (next / now) : next / now;
    double factor = after.image() * (1 - decay);
    double keep = after.image() / level.image() * decay;
    double noise = config.stochastic() ? after.noise() * Math.sqrt(1 - decay) : 0;
    Mix mix = new Mix(0, keep, 0, noise, factor);
    if (i > begin && next > 0) {
      double h = Math.log(now / next);
      double h0 = Math.log(sigmas[i - 1] / now);
      double previous = factor * h / (2 * h0);
      mix = new Mix(0, keep, 0, noise, factor + previous, -previous);
    }
    return new Step(timestep, 1, level, Memory.x0(config.prediction(), level), mix);
  }
}
