package io.lakegen.diffusion;

/** {@link Ddpm} over timesteps from the training's last to its first, as unCLIP spaces them. */
final class UnClip {
  private UnClip() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    double between = (config.trainTimesteps() - 1.0) / (count - 1);
    int[] timesteps = new int[count];
    for (int i = 0; i < count; i++) {
      timesteps[i] = (int) Math.rint((count - 1 - i) * between);
    }
    return Ddpm.schedule(config, timesteps, begin);
  }
}
