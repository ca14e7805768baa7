package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Memory;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import io.lakegen.diffusion.SchedulerConfig.Spacing;
import java.util.ArrayList;
import java.util.List;

/** Denoising diffusion implicit models (arXiv 2010.02502), eta 0. */
final class Ddim {
  private Ddim() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    int[] timesteps = timesteps(config, count);
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < count; i++) {
      steps.add(step(config, timesteps[i], count));
    }
    return new Schedule(steps, 1, config.clip());
  }

  static int[] timesteps(SchedulerConfig config, int count) {
    double[] found = Timesteps.of(config.spacing(), config.trainTimesteps(), count);
    int offset = config.spacing() == Spacing.leading ? config.stepsOffset() : 0;
    int[] timesteps = new int[count];
    for (int i = 0; i < count; i++) {
      timesteps[i] = Math.min((int) Math.rint(found[i]) + offset, config.trainTimesteps() - 1);
    }
    return timesteps;
  }

  private static Step step(SchedulerConfig config, int timestep, int count) {
    double now = config.alphasCumprod()[timestep];
    double next = config.alphaCumprod(timestep - config.trainTimesteps() / count);
    Level level = Level.ofVariance(now);
    double alpha = level.image();
    double sigma = level.noise();
    double noise = Math.sqrt(1 - next);
    double image = Math.sqrt(next);
    Mix mix =
        switch (config.prediction()) {
          case epsilon -> new Mix(0, 0, noise, 0, image);
          case v_prediction -> new Mix(0, noise * sigma, noise * alpha, 0, image);
          case sample -> new Mix(0, noise / sigma, -noise * alpha / sigma, 0, image);
          case flow_prediction -> throw new IllegalStateException("not trained by flow matching");
        };
    return new Step(timestep, 1, level, Memory.x0(config.prediction(), level), mix);
  }
}
