package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Anchor;
import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import java.util.ArrayList;
import java.util.List;

/**
 * Heun's method over the probability flow (arXiv 2206.00364, algorithm 1): the model is asked again
 * where an Euler step leads, and the step is made with the average of both slopes. The last step,
 * to no noise, is Euler's.
 */
final class Heun {
  private Heun() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    SigmaGrid grid = SigmaGrid.between(config, count);
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      double sigma = grid.sigmas()[i];
      double next = grid.sigmas()[i + 1];
      steps.add(
          new Step(
              grid.timesteps()[i],
              SigmaGrid.inputScale(sigma),
              new Level(1, sigma),
              SigmaGrid.x0(config, sigma),
              Mix.of(next / sigma, 1 - next / sigma)));
      if (next > 0) {
        steps.add(again(config, grid.timesteps()[i + 1], sigma, next));
      }
    }
    return new Schedule(steps, grid.initNoiseSigma(config), config.clip());
  }

  private static Step again(SchedulerConfig config, double timestep, double sigma, double next) {
    double half = (next - sigma) / 2;
    return new Step(
        timestep,
        SigmaGrid.inputScale(next),
        new Level(1, next),
        SigmaGrid.x0(config, next),
        Anchor.KEPT,
        new Mix(half / next, 1 + half / sigma, 0, 0, -half / next, -half / sigma),
        0);
  }
}
