package io.lakegen.task.diffusion;

import io.lakegen.task.diffusion.Schedule.Mix;
import io.lakegen.task.diffusion.Schedule.Prediction;
import io.lakegen.task.diffusion.Schedule.Step;
import io.lakegen.task.diffusion.SchedulerConfig.Spacing;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Schedulers over noise levels: Euler, Euler ancestral and DPM-Solver++. {@code sigma} is the
 * noise's standard deviation where the image keeps its size.
 */
final class SigmaSchedules {
  /** Of Karras et al., arXiv 2206.00364, equation 5. */
  private static final double RHO = 7;

  private SigmaSchedules() {}

  static Schedule of(SchedulerConfig config, int count, int begin) {
    double[] training = trainingSigmas(config);
    boolean solver = config.name() == SchedulerName.DPMSolverMultistepScheduler;
    double[] timesteps = timesteps(config, count);
    double[] sigmas = new double[count + 1];
    if (config.karrasSigmas()) {
      // Euler spans the sigmas of its own steps, DPM-Solver++ those of the training.
      double largest = solver ? training[training.length - 1] : at(training, timesteps[0]);
      double smallest = solver ? training[0] : at(training, timesteps[count - 1]);
      for (int i = 0; i < count; i++) {
        sigmas[i] = karras(smallest, largest, count == 1 ? 0 : (double) i / (count - 1));
        double timestep = timestepOf(training, sigmas[i]);
        timesteps[i] = solver ? Math.rint(timestep) : timestep;
      }
    } else {
      for (int i = 0; i < count; i++) {
        sigmas[i] = at(training, timesteps[i]);
      }
    }
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      steps.add(
          solver
              ? solver(config, timesteps[i], sigmas, i, begin)
              : euler(config, timesteps[i], sigmas[i], sigmas[i + 1]));
    }
    double start = sigmas[begin];
    if (solver) {
      double alpha = alpha(start);
      return new Schedule(steps, 1, alpha, alpha * start, config.clip());
    }
    double largest = Arrays.stream(sigmas).max().orElseThrow();
    double init = config.spacing() == Spacing.leading ? Math.sqrt(largest * largest + 1) : largest;
    return new Schedule(steps, init, 1, start, config.clip());
  }

  private static double[] trainingSigmas(SchedulerConfig config) {
    return Arrays.stream(config.alphasCumprod()).map(a -> Math.sqrt((1 - a) / a)).toArray();
  }

  private static double[] timesteps(SchedulerConfig config, int count) {
    int train = config.trainTimesteps();
    boolean solver = config.name() == SchedulerName.DPMSolverMultistepScheduler;
    // The solver leaves out the last of one more, but for trailing.
    int of = solver && config.spacing() != Spacing.trailing ? count + 1 : count;
    double[] timesteps = Arrays.copyOf(Timesteps.of(config.spacing(), train, of), count);
    int offset = config.spacing() == Spacing.leading ? config.stepsOffset() : 0;
    Arrays.setAll(timesteps, i -> (solver ? Math.rint(timesteps[i]) : timesteps[i]) + offset);
    return timesteps;
  }

  private static double at(double[] sigmas, double timestep) {
    double inside = Math.max(0, Math.min(sigmas.length - 1, timestep));
    int low = Math.min((int) inside, sigmas.length - 2);
    double weight = inside - low;
    return (1 - weight) * sigmas[low] + weight * sigmas[low + 1];
  }

  private static double karras(double smallest, double largest, double ramp) {
    double from = Math.pow(largest, 1 / RHO);
    double to = Math.pow(smallest, 1 / RHO);
    return Math.pow(from + ramp * (to - from), RHO);
  }

  private static double timestepOf(double[] sigmas, double sigma) {
    int found = Arrays.binarySearch(sigmas, sigma);
    int low = Math.max(0, Math.min(found >= 0 ? found : -found - 2, sigmas.length - 2));
    double weight =
        (Math.log(sigmas[low]) - Math.log(sigma))
            / (Math.log(sigmas[low]) - Math.log(sigmas[low + 1]));
    return low + Math.max(0, Math.min(1, weight));
  }

  private static Step euler(SchedulerConfig config, double timestep, double sigma, double next) {
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

  /** Equations of the second order where there is a last step; the end, at no noise, is x0. */
  private static Step solver(
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
        AlphaSchedules.x0(config.prediction(), alpha, alpha * now),
        new Mix(alpha(next) * next / (alpha * now), 0, factor + previous, -previous, 0));
  }

  /** What is left of the image's size where noise and image have variance 1 together. */
  private static double alpha(double sigma) {
    return 1 / Math.sqrt(sigma * sigma + 1);
  }
}
