package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Memory;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import java.util.ArrayList;
import java.util.List;

/**
 * Euler steps along the straight paths of rectified flow (arXiv 2403.03206): the model gives noise
 * less image, and levels are shifted towards the noise as equation 23 has it.
 */
final class FlowMatchEuler {
  private FlowMatchEuler() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    int train = config.trainTimesteps();
    // As in diffusers, the lowest level of the training is shifted before it is the end of the
    // range.
    double lowest = shifted(config, 1.0 / train);
    double[] sigmas = new double[count + 1];
    for (int i = 0; i < count; i++) {
      double share = count == 1 ? 0 : (double) i / (count - 1);
      sigmas[i] = shifted(config, 1 + share * (lowest - 1));
    }
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      double sigma = sigmas[i];
      steps.add(
          new Step(
              sigma * train,
              1,
              new Level(1 - sigma, sigma),
              new Memory(1, -sigma),
              new Mix(0, 1, sigmas[i + 1] - sigma, 0)));
    }
    return new Schedule(steps, 1, config.clip());
  }

  /** A level moved towards the noise. */
  static double shifted(SchedulerConfig config, double sigma) {
    return config.shift() * sigma / (1 + (config.shift() - 1) * sigma);
  }
}
