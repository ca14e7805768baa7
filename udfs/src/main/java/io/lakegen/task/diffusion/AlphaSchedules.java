package io.lakegen.task.diffusion;

import io.lakegen.task.diffusion.Schedule.Mix;
import io.lakegen.task.diffusion.Schedule.Prediction;
import io.lakegen.task.diffusion.Schedule.Step;
import java.util.ArrayList;
import java.util.List;

/** Schedulers over whole training timesteps, whose latents keep their variance: DDIM and LCM. */
final class AlphaSchedules {
  /** Standard deviation of the data that LCM's boundary condition assumes. */
  private static final double SIGMA_DATA = 0.5;

  private AlphaSchedules() {}

  static Schedule of(SchedulerConfig config, int count, int begin) {
    boolean lcm = config.name() == SchedulerName.LCMScheduler;
    int[] timesteps = lcm ? lcmTimesteps(config, count) : ddimTimesteps(config, count);
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      steps.add(lcm ? lcm(config, timesteps, i) : ddim(config, timesteps[i], count));
    }
    double first = config.alphasCumprod()[timesteps[begin]];
    return new Schedule(steps, 1, Math.sqrt(first), Math.sqrt(1 - first), config.clip());
  }

  private static int[] ddimTimesteps(SchedulerConfig config, int count) {
    double[] found = Timesteps.of(config.spacing(), config.trainTimesteps(), count);
    int[] timesteps = new int[count];
    for (int i = 0; i < count; i++) {
      int offset = config.spacing() == SchedulerConfig.Spacing.leading ? config.stepsOffset() : 0;
      timesteps[i] = Math.min((int) Math.rint(found[i]) + offset, config.trainTimesteps() - 1);
    }
    return timesteps;
  }

  private static Step ddim(SchedulerConfig config, int timestep, int count) {
    double now = config.alphasCumprod()[timestep];
    double next = alpha(config, timestep - config.trainTimesteps() / count);
    double alpha = Math.sqrt(now);
    double sigma = Math.sqrt(1 - now);
    double noise = Math.sqrt(1 - next);
    Mix mix =
        switch (config.prediction()) {
          case epsilon -> new Mix(0, noise, Math.sqrt(next), 0, 0);
          case v_prediction -> new Mix(noise * sigma, noise * alpha, Math.sqrt(next), 0, 0);
          case sample -> new Mix(noise / sigma, -noise * alpha / sigma, Math.sqrt(next), 0, 0);
        };
    return new Step(timestep, 1, x0(config.prediction(), alpha, sigma), mix);
  }

  private static int[] lcmTimesteps(SchedulerConfig config, int count) {
    int original = config.originalInferenceSteps();
    int stride = config.trainTimesteps() / original;
    int[] timesteps = new int[count];
    for (int i = 0; i < count; i++) {
      timesteps[i] = (original - i * original / count) * stride - 1;
    }
    return timesteps;
  }

  private static Step lcm(SchedulerConfig config, int[] timesteps, int i) {
    double now = config.alphasCumprod()[timesteps[i]];
    double scaled = Math.pow(timesteps[i] * config.timestepScaling(), 2);
    double data = SIGMA_DATA * SIGMA_DATA;
    double skip = data / (scaled + data);
    double out = Math.sqrt(scaled / (scaled + data));
    boolean last = i == timesteps.length - 1;
    double next = last ? 1 : alpha(config, timesteps[i + 1]);
    double keep = Math.sqrt(next);
    return new Step(
        timesteps[i],
        1,
        x0(config.prediction(), Math.sqrt(now), Math.sqrt(1 - now)),
        new Mix(keep * skip, 0, keep * out, 0, Math.sqrt(1 - next)));
  }

  private static double alpha(SchedulerConfig config, int timestep) {
    return timestep >= 0 ? config.alphasCumprod()[timestep] : config.finalAlphaCumprod();
  }

  /** For a latent that is {@code alpha} times the image's and {@code sigma} times noise. */
  static Prediction x0(SchedulerConfig.Prediction prediction, double alpha, double sigma) {
    return switch (prediction) {
      case epsilon -> new Prediction(1 / alpha, -sigma / alpha);
      case v_prediction -> new Prediction(alpha, -sigma);
      case sample -> new Prediction(0, 1);
    };
  }
}
