package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Prediction;
import io.lakegen.diffusion.Schedule.Step;
import io.lakegen.diffusion.SchedulerConfig.Spacing;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Euler steps of the probability flow (arXiv 2206.00364, algorithm 2, without churn), and the
 * ancestral kind of k-diffusion, which adds noise after each.
 */
final class Euler {
  private Euler() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    double[] training = Sigmas.training(config);
    double[] timesteps = Timesteps.of(config.spacing(), config.trainTimesteps(), count);
    int offset = config.spacing() == Spacing.leading ? config.stepsOffset() : 0;
    double[] sigmas = new double[count + 1];
    for (int i = 0; i < count; i++) {
      timesteps[i] += offset;
      sigmas[i] = Sigmas.at(training, timesteps[i]);
    }
    if (config.karrasSigmas()) {
      // Over the sigmas of its own steps.
      sigmas = Sigmas.karras(sigmas[count - 1], sigmas[0], count);
      for (int i = 0; i < count; i++) {
        timesteps[i] = Sigmas.timestep(training, sigmas[i]);
      }
    }
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      steps.add(step(config, timesteps[i], sigmas[i], sigmas[i + 1]));
    }
    double largest = Arrays.stream(sigmas).max().orElseThrow();
    double init = config.spacing() == Spacing.leading ? Math.sqrt(largest * largest + 1) : largest;
    return new Schedule(steps, init, 1, sigmas[begin], config.clip());
  }

  private static Step step(SchedulerConfig config, double timestep, double sigma, double next) {
    double square = sigma * sigma + 1;
    Prediction x0 =
        switch (config.prediction()) {
          case epsilon -> new Prediction(1, -sigma);
          case v_prediction -> new Prediction(1 / square, -sigma / Math.sqrt(square));
          case sample -> new Prediction(0, 1);
        };
    double up = 0;
    double down = next;
    if (config.name() == SchedulerName.EulerAncestralDiscreteScheduler) {
      up = Math.sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma));
      down = Math.sqrt(next * next - up * up);
    }
    return new Step(
        timestep, 1 / Math.sqrt(square), x0, new Mix(down / sigma, 0, 1 - down / sigma, 0, up));
  }
}
