package io.lakegen.diffusion;

import io.lakegen.task.CounterRandom;

/** The noise of one image. */
@FunctionalInterface
public interface NoiseSource {
  /** What the first latent is made of. */
  int START = 0;

  /** Drawn where an image is encoded. */
  int ENCODER = 1;

  /** Drawn where the parts of an image that a mask keeps are encoded. */
  int MASKED = -1;

  /** Drawn where a picture to enlarge is made noisy. */
  int LOW_RESOLUTION = -2;

  /** Drawn after step 0; those of the later steps follow. */
  int FIRST_STEP = 2;

  /** Draws of a stage: those of the next one are these and so many more. */
  int STAGE = 1 << 16;

  /** The noise of a stage, counted from 0. */
  default NoiseSource ofStage(int stage) {
    return (draw, count) -> draw(stage * STAGE + draw, count);
  }

  /**
   * Standard normal numbers, the same whenever they are asked for.
   *
   * @param draw one of the constants, see {@link #ofStage}
   */
  float[] draw(int draw, int count);

  /**
   * The noise of an image.
   *
   * @param image which of the images of one seed
   */
  static NoiseSource of(long seed, int image) {
    return (draw, count) -> CounterRandom.gaussian(seed, ((long) image << 32) + draw, count);
  }
}
