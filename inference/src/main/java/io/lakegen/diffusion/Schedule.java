package io.lakegen.diffusion;

import java.util.List;

/**
 * The steps from noise to a latent image. Every scheduler is a table of coefficients: a step
 * predicts the noiseless latent, {@code x0}, and mixes the next latent of what it has.
 *
 * @param initNoiseSigma the first latent is standard normal noise times this
 * @param imageScale with an image at the start, the first latent is this times the image's latent
 *     plus {@code noiseScale} times noise
 * @param clip largest absolute value of {@code x0}
 */
record Schedule(
    List<Step> steps, double initNoiseSigma, double imageScale, double noiseScale, double clip) {
  Schedule {
    steps = List.copyOf(steps);
  }

  /**
   * One step.
   *
   * @param timestep what the model is told
   * @param inputScale the model sees the latent times this
   * @param x0 makes {@code x0} of the latent and the model's output
   * @param next makes the next latent
   */
  record Step(double timestep, double inputScale, Prediction x0, Mix next) {}

  /** {@code sample} times the latent plus {@code output} times the model's output. */
  record Prediction(double sample, double output) {
    /** For a latent that is {@code alpha} times the image's and {@code sigma} times noise. */
    static Prediction of(SchedulerConfig.Prediction kind, double alpha, double sigma) {
      return switch (kind) {
        case epsilon -> new Prediction(1 / alpha, -sigma / alpha);
        case v_prediction -> new Prediction(alpha, -sigma);
        case sample -> new Prediction(0, 1);
      };
    }
  }

  /**
   * A sum, each part times its factor: the latent, the model's output, {@code x0}, the last step's
   * {@code x0}, and fresh noise.
   */
  record Mix(double sample, double output, double x0, double previousX0, double noise) {
    boolean noisy() {
      return noise != 0;
    }
  }

  /**
   * The steps of a scheduler.
   *
   * @param numInferenceSteps steps from pure noise, 1 to {@link SchedulerConfig#maxSteps}
   * @param begin steps to leave out at the start, where an image takes their place
   */
  static Schedule of(SchedulerConfig config, int numInferenceSteps, int begin) {
    return config.name().schedule(config, numInferenceSteps, begin);
  }

  /** Steps over latents whose image and noise have variance 1 together. */
  static Schedule ofVariance(List<Step> steps, SchedulerConfig config, int firstTimestep) {
    double first = config.alphasCumprod()[firstTimestep];
    return new Schedule(steps, 1, Math.sqrt(first), Math.sqrt(1 - first), config.clip());
  }

  /**
   * Makes a step.
   *
   * @param latent changed into the next one
   * @param x0 the last step's, all zero at the first; changed into this step's
   * @param noise standard normal numbers; not read where the step is not {@link Mix#noisy}
   */
  void advance(int step, float[] latent, float[] output, float[] x0, float[] noise) {
    Prediction prediction = steps.get(step).x0();
    Mix next = steps.get(step).next();
    for (int i = 0; i < latent.length; i++) {
      double clean = prediction.sample() * latent[i] + prediction.output() * output[i];
      clean = Math.max(-clip, Math.min(clip, clean));
      double value =
          next.sample() * latent[i]
              + next.output() * output[i]
              + next.x0() * clean
              + next.previousX0() * x0[i];
      latent[i] = (float) (next.noisy() ? value + next.noise() * noise[i] : value);
      x0[i] = (float) clean;
    }
  }
}
