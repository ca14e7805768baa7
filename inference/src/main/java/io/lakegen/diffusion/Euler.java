package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import java.util.ArrayList;
import java.util.List;

/**
 * Euler steps of the probability flow (arXiv 2206.00364, algorithm 2, without churn), and the
 * ancestral kind of k-diffusion, which adds noise after each.
 */
final class Euler {
  private Euler() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    SigmaGrid grid = SigmaGrid.between(config, count);
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      steps.add(step(config, grid.timesteps()[i], grid.sigmas()[i], grid.sigmas()[i + 1]));
    }
    return new Schedule(steps, grid.initNoiseSigma(config), config.clip());
  }

  private static Step step(SchedulerConfig config, double timestep, double sigma, double next) {
    Part part =
        config.name() == SchedulerName.EulerAncestralDiscreteScheduler
            ? Part.ancestral(sigma, next)
            : new Part(next, 0);
    double keep = part.down() / sigma;
    return new Step(
        timestep,
        SigmaGrid.inputScale(sigma),
        new Level(1, sigma),
        SigmaGrid.x0(config, sigma),
        new Mix(0, keep, 0, part.up(), 1 - keep));
  }

  /** A step to a level: down to a lower one without noise, and up again by fresh noise. */
  record Part(double down, double up) {
    static Part ancestral(double from, double to) {
      double up = Math.min(to, Math.sqrt(to * to * (from * from - to * to) / (from * from)));
      return new Part(Math.sqrt(to * to - up * up), up);
    }
  }
}
