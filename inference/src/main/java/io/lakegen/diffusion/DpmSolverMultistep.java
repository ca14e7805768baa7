package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Prediction;
import io.lakegen.diffusion.Schedule.Step;
import io.lakegen.diffusion.SchedulerConfig.Spacing;
import java.util.ArrayList;
import java.util.List;

/** DPM-Solver++ (arXiv 2211.01095), second order, multistep. */
final class DpmSolverMultistep {
  private DpmSolverMultistep() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    double[] training = Sigmas.training(config);
    // But for trailing, the solver leaves out the last of one more.
    int of = config.spacing() == Spacing.trailing ? count : count + 1;
    double[] timesteps = Timesteps.of(config.spacing(), config.trainTimesteps(), of);
    int offset = config.spacing() == Spacing.leading ? config.stepsOffset() : 0;
    double[] sigmas = new double[count + 1];
    for (int i = 0; i < count; i++) {
      timesteps[i] = Math.rint(timesteps[i]) + offset;
      sigmas[i] = Sigmas.at(training, timesteps[i]);
    }
    if (config.karrasSigmas()) {
      // Over the sigmas of the training.
      sigmas = Sigmas.karras(training[0], training[training.length - 1], count);
      for (int i = 0; i < count; i++) {
        timesteps[i] = Math.rint(Sigmas.timestep(training, sigmas[i]));
      }
    }
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      steps.add(step(config, timesteps[i], sigmas, i, begin));
    }
    double alpha = alpha(sigmas[begin]);
    return new Schedule(steps, 1, alpha, alpha * sigmas[begin], config.clip());
  }

  /** Equations of the second order where there is a last step; the end, at no noise, is x0. */
  private static Step step(
      SchedulerConfig config, double timestep, double[] sigmas, int i, int begin) {
    double now = sigmas[i];
    double next = sigmas[i + 1];
    // With lambda = -log(sigma), exp(-h) is the quotient of the sigmas.
    double decay = next / now;
    double factor = alpha(next) * (1 - decay);
    double previous = 0;
    if (i > begin && next > 0) {
      double h = Math.log(now / next);
      double h0 = Math.log(sigmas[i - 1] / now);
      previous = factor * h / (2 * h0);
    }
    double alpha = alpha(now);
    return new Step(
        timestep,
        1,
        Prediction.of(config.prediction(), alpha, alpha * now),
        new Mix(alpha(next) * next / (alpha * now), 0, factor + previous, -previous, 0));
  }

  /** What is left of the image's size where noise and image have variance 1 together. */
  private static double alpha(double sigma) {
    return 1 / Math.sqrt(sigma * sigma + 1);
  }
}
