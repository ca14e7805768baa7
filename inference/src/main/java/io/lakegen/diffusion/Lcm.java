package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Memory;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import java.util.ArrayList;
import java.util.List;

/** Latent consistency models (arXiv 2310.04378). */
final class Lcm {
  /** Standard deviation of the data that the boundary condition assumes. */
  private static final double SIGMA_DATA = 0.5;

  private Lcm() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    int original = config.originalInferenceSteps();
    int stride = config.trainTimesteps() / original;
    int[] timesteps = new int[count];
    for (int i = 0; i < count; i++) {
      timesteps[i] = (original - i * original / count) * stride - 1;
    }
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      steps.add(step(config, timesteps, i));
    }
    return new Schedule(steps, 1, config.clip());
  }

  private static Step step(SchedulerConfig config, int[] timesteps, int i) {
    double now = config.alphasCumprod()[timesteps[i]];
    double scaled = Math.pow(timesteps[i] * config.timestepScaling(), 2);
    double data = SIGMA_DATA * SIGMA_DATA;
    double skip = data / (scaled + data);
    double out = Math.sqrt(scaled / (scaled + data));
    double next = i == timesteps.length - 1 ? 1 : config.alphaCumprod(timesteps[i + 1]);
    double keep = Math.sqrt(next);
    Level level = Level.ofVariance(now);
    return new Step(
        timesteps[i],
        1,
        level,
        Memory.x0(config.prediction(), level),
        new Mix(0, keep * skip, 0, Math.sqrt(1 - next), keep * out));
  }
}
