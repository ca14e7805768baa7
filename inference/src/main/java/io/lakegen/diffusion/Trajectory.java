package io.lakegen.diffusion;

/** One sample of a stage on its way from noise. */
final class Trajectory {
  private final Schedule schedule;
  private final NoiseSource noise;
  private final Latent latent;
  private final Kept kept;

  /**
   * What an image keeps of a picture.
   *
   * @param picture its latent
   * @param mask 1 where there is to be something new, 0 where the picture stays; one number a
   *     place, for all channels
   */
  record Kept(float[] picture, float[] mask) {}

  private Trajectory(Schedule schedule, NoiseSource noise, Latent latent, Kept kept) {
    this.schedule = schedule;
    this.noise = noise;
    this.latent = latent;
    this.kept = kept;
  }

  /**
   * A sample before its first step.
   *
   * @param noise of its stage
   * @param start the latent that it starts from; null for noise
   * @param kept null for nothing
   */
  static Trajectory of(Schedule schedule, NoiseSource noise, int count, float[] start, Kept kept) {
    float[] values = noise.draw(NoiseSource.START, count);
    Schedule.Level level =
        start == null
            ? new Schedule.Level(0, schedule.initNoiseSigma())
            : schedule.steps().get(0).level();
    for (int i = 0; i < count; i++) {
      double image = start == null ? 0 : level.image() * start[i];
      values[i] = (float) (image + level.noise() * values[i]);
    }
    return new Trajectory(schedule, noise, new Latent(schedule, values), kept);
  }

  /** The latent now. */
  float[] latent() {
    return latent.values();
  }

  /**
   * Makes a step with the model's prediction, guidance included; see {@link Latent#advance} for
   * what may follow it.
   */
  void advance(int step, float[] prediction) {
    Schedule.Step now = schedule.steps().get(step);
    schedule.advance(step, latent, prediction, now.next().noisy() ? noise(step) : null);
    if (kept != null) {
      keep(step + 1 < schedule.steps().size() ? schedule.steps().get(step + 1).level() : null);
    }
  }

  /** Noise of a step: its own, and where the step says so, in part that of the step before. */
  private float[] noise(int step) {
    int count = latent.values().length;
    float[] fresh = noise.draw(NoiseSource.FIRST_STEP + step, count);
    double share = schedule.steps().get(step).noiseShare();
    if (share > 0) {
      float[] before = noise.draw(NoiseSource.FIRST_STEP + step - 1, count);
      for (int i = 0; i < count; i++) {
        fresh[i] = (float) (share * before[i] + Math.sqrt(1 - share * share) * fresh[i]);
      }
    }
    return fresh;
  }

  /** Lays the picture over the latent, with the noise of the next step's level; null for none. */
  private void keep(Schedule.Level level) {
    float[] values = latent.values();
    float[] start = level == null ? null : noise.draw(NoiseSource.START, values.length);
    for (int i = 0; i < values.length; i++) {
      float mask = kept.mask()[i % kept.mask().length];
      double old =
          level == null
              ? kept.picture()[i]
              : level.image() * kept.picture()[i] + level.noise() * start[i];
      values[i] = (float) ((1 - mask) * old + mask * values[i]);
    }
  }
}
