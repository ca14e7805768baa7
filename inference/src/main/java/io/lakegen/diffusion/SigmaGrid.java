package io.lakegen.diffusion;

import io.lakegen.diffusion.SchedulerConfig.Spacing;

/**
 * The noise levels that a scheduler steps through.
 *
 * @param timesteps one for each step, latest first
 * @param sigmas likewise, and the level after the last step, 0
 */
record SigmaGrid(double[] timesteps, double[] sigmas) {

  /** That of Euler's kind: timesteps may lie between those of the training. */
  static SigmaGrid between(SchedulerConfig config, int count) {
    double[] training = Sigmas.training(config);
    double[] timesteps = Timesteps.of(config.spacing(), config.trainTimesteps(), count);
    int offset = offset(config);
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
    return new SigmaGrid(timesteps, sigmas);
  }

  /** That of the multistep solvers: timesteps are those of the training. */
  static SigmaGrid rounded(SchedulerConfig config, int count) {
    double[] training = Sigmas.training(config);
    // But for trailing, the solvers leave out the last of one more.
    int of = config.spacing() == Spacing.trailing ? count : count + 1;
    double[] timesteps = Timesteps.of(config.spacing(), config.trainTimesteps(), of);
    int offset = offset(config);
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
    return new SigmaGrid(timesteps, sigmas);
  }

  /**
   * That of the multistep solvers for models trained by flow matching. Levels are moved towards the
   * noise as for {@link FlowMatchEuler}; of each, sigma is the quotient of the noise's share by the
   * image's.
   */
  static SigmaGrid flow(SchedulerConfig config, int count) {
    int train = config.trainTimesteps();
    double[] timesteps = new double[count];
    double[] sigmas = new double[count + 1];
    for (int i = 0; i < count; i++) {
      // The order of operations is diffusers', since timesteps are cut to whole numbers.
      double image = i == 0 ? 1.0 / train : (count - i) * ((1.0 / train - 1) / count) + 1;
      double noise = FlowMatchEuler.shifted(config, 1 - image);
      timesteps[i] = Math.floor(noise * train);
      double rounded = (float) noise;
      sigmas[i] = rounded / (1 - rounded);
    }
    return new SigmaGrid(timesteps, sigmas);
  }

  private static int offset(SchedulerConfig config) {
    return config.spacing() == Spacing.leading ? config.stepsOffset() : 0;
  }

  /** Standard deviation of the first latent where the image keeps its size. */
  double initNoiseSigma(SchedulerConfig config) {
    double largest = sigmas[0];
    return config.spacing() == Spacing.leading ? Math.sqrt(largest * largest + 1) : largest;
  }

  /** How the model sees a latent of a level where the image keeps its size. */
  static double inputScale(double sigma) {
    return 1 / Math.sqrt(sigma * sigma + 1);
  }

  /** The noiseless latent where the image keeps its size. */
  static Schedule.Memory x0(SchedulerConfig config, double sigma) {
    double square = sigma * sigma + 1;
    return switch (config.prediction()) {
      case epsilon -> new Schedule.Memory(1, -sigma);
      case v_prediction -> new Schedule.Memory(1 / square, -sigma / Math.sqrt(square));
      case sample -> Schedule.Memory.OUTPUT;
      case flow_prediction ->
          throw new IllegalStateException("not trained to keep the image's size");
    };
  }

  /** The level of a sigma as the model was trained with it. */
  static Schedule.Level level(SchedulerConfig config, double sigma) {
    return config.flow()
        ? new Schedule.Level(1 / (1 + sigma), sigma / (1 + sigma))
        : variance(sigma);
  }

  /** The level of a sigma where image and noise have variance 1 together. */
  static Schedule.Level variance(double sigma) {
    double alpha = inputScale(sigma);
    return new Schedule.Level(alpha, alpha * sigma);
  }
}
