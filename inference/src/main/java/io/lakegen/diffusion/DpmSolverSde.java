package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Anchor;
import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import java.util.ArrayList;
import java.util.List;

/**
 * DPM-Solver++ over the stochastic equation, second order in single steps, as k-diffusion makes
 * them: an ancestral step to the middle, where the model is asked again, and one of the whole way
 * with that answer. Both noises are of one Brownian path over sigma.
 */
final class DpmSolverSde {
  private DpmSolverSde() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    SigmaGrid grid = SigmaGrid.between(config, count);
    double[] training = Sigmas.training(config);
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      double sigma = grid.sigmas()[i];
      double next = grid.sigmas()[i + 1];
      // In the middle of the logarithms; at 0, the end.
      double middle = Math.sqrt(sigma * next);
      steps.add(step(config, grid.timesteps()[i], sigma, sigma, middle, Anchor.LATENT, 0));
      if (next > 0) {
        double timestep = Sigmas.timestep(training, middle);
        double share = Math.sqrt((sigma - middle) / (sigma - next));
        steps.add(step(config, timestep, middle, sigma, next, Anchor.KEPT, share));
      }
    }
    return new Schedule(steps, grid.initNoiseSigma(config), config.clip());
  }

  /** With the model's answer at {@code at}, from the anchor at {@code from} to {@code to}. */
  private static Step step(
      SchedulerConfig config,
      double timestep,
      double at,
      double from,
      double to,
      Anchor anchor,
      double share) {
    Euler.Part part = Euler.Part.ancestral(from, to);
    double keep = part.down() / from;
    return new Step(
        timestep,
        SigmaGrid.inputScale(at),
        new Level(1, at),
        SigmaGrid.x0(config, at),
        anchor,
        new Mix(0, keep, 0, part.up(), 1 - keep),
        share);
  }
}
