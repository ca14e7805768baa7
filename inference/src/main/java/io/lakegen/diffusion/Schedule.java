package io.lakegen.diffusion;

import java.util.List;

/**
 * The steps from noise to a latent image. Every scheduler is a table of coefficients: a step
 * remembers one linear form of the latent and the model's output, such as the noiseless latent
 * {@code x0}, and mixes the next latent of what it has. So solvers of several steps, and those that
 * look at a point twice, are rows of numbers like the others.
 *
 * @param initNoiseSigma the first latent is standard normal noise times this
 * @param clip keeps what a step remembers in its range
 */
record Schedule(List<Step> steps, double initNoiseSigma, Clip clip) {
  Schedule {
    steps = List.copyOf(steps);
  }

  /**
   * One run of the model.
   *
   * @param timestep what the model is told
   * @param inputScale the model sees the latent times this
   * @param level what the latent is made of before the step
   * @param memory makes what is remembered of this step
   * @param anchor replaces the anchor
   * @param next makes the next latent
   * @param noiseShare correlation of this step's noise with that of the step before: 0 but where
   *     both are parts of one Brownian path
   * @param range of the noise's variance, where the model says what it is; else null
   */
  record Step(
      double timestep,
      double inputScale,
      Level level,
      Memory memory,
      Anchor anchor,
      Mix next,
      double noiseShare,
      Range range) {
    /** A step that starts from the latent as it is. */
    Step(double timestep, double inputScale, Level level, Memory memory, Mix next) {
      this(timestep, inputScale, level, memory, next, null);
    }

    /** Likewise, with a learned variance. */
    Step(double timestep, double inputScale, Level level, Memory memory, Mix next, Range range) {
      this(timestep, inputScale, level, memory, Anchor.LATENT, next, 0, range);
    }

    /** A step whose variance is not learned. */
    Step(
        double timestep,
        double inputScale,
        Level level,
        Memory memory,
        Anchor anchor,
        Mix next,
        double noiseShare) {
      this(timestep, inputScale, level, memory, anchor, next, noiseShare, null);
    }
  }

  /**
   * A variance between two: its logarithm lies between these, and where, the model says by a second
   * output, -1 for the one and 1 for the other.
   */
  record Range(double least, double most) {
    /** The standard deviation for what the model says. */
    double deviation(double said) {
      double share = (said + 1) / 2;
      return Math.exp(0.5 * (share * most + (1 - share) * least));
    }
  }

  /** A latent is {@code image} times the image's plus {@code noise} times standard normal noise. */
  record Level(double image, double noise) {
    /** Image and noise have variance 1 together. */
    static Level ofVariance(double alphaCumprod) {
      return new Level(Math.sqrt(alphaCumprod), Math.sqrt(1 - alphaCumprod));
    }
  }

  /** {@code latent} times the latent plus {@code output} times the model's output. */
  record Memory(double latent, double output) {
    /** The model's output itself. */
    static final Memory OUTPUT = new Memory(0, 1);

    /** The noiseless latent. */
    static Memory x0(SchedulerConfig.Prediction kind, Level level) {
      return switch (kind) {
        case epsilon -> new Memory(1 / level.image(), -level.noise() / level.image());
        case v_prediction -> new Memory(level.image(), -level.noise());
        case sample -> OUTPUT;
        case flow_prediction -> new Memory(1, -level.noise());
      };
    }
  }

  /**
   * What a step starts from where that is not the latent that the model saw: a sum of the last
   * step's anchor and of memories, the newest first.
   */
  record Anchor(double anchor, double... memory) {
    /** The latent that the model saw. */
    static final Anchor LATENT = new Anchor(0);

    /** The last step's anchor. */
    static final Anchor KEPT = new Anchor(1);

    boolean isLatent() {
      return anchor == 0 && memory.length == 0;
    }

    boolean isKept() {
      return anchor == 1 && memory.length == 0;
    }
  }

  /**
   * The next latent: a sum of the latent, the anchor, the model's output, fresh noise, and
   * memories, the newest first.
   */
  record Mix(double latent, double anchor, double output, double noise, double... memory) {
    /** From the anchor and one memory. */
    static Mix of(double anchor, double memory) {
      return new Mix(0, anchor, 0, 0, memory);
    }

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

  /** Makes a step; see {@link Latent}. */
  void advance(int step, Latent latent, float[] output, float[] noise) {
    latent.advance(steps.get(step), clip, output, noise);
  }

  /** Memories that a step can need. */
  int depth() {
    return steps.stream()
        .mapToInt(s -> Math.max(s.next().memory().length, s.anchor().memory().length))
        .max()
        .orElse(0);
  }
}
