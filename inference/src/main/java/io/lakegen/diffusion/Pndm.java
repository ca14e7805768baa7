package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Anchor;
import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Memory;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import io.lakegen.diffusion.SchedulerConfig.Prediction;
import io.lakegen.diffusion.SchedulerConfig.Spacing;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Pseudo numerical methods (arXiv 2202.09778) without Runge-Kutta steps, which Stable Diffusion
 * calls PLMS: equation 9 with the linear multistep formulas of Adams and Bashforth. The second step
 * repeats the first with the average of two outputs.
 */
final class Pndm {
  /** Weights of the outputs, the newest first, by how many there are. */
  private static final double[][] ADAMS_BASHFORTH = {
    {1},
    {3. / 2, -1. / 2},
    {23. / 12, -16. / 12, 5. / 12},
    {55. / 24, -59. / 24, 37. / 24, -9. / 24}
  };

  private Pndm() {}

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    int[] timesteps = timesteps(config, count);
    int stride = config.trainTimesteps() / count;
    List<Step> steps = new ArrayList<>();
    for (int i = begin; i < timesteps.length; i++) {
      steps.add(step(config, timesteps[i], stride, i - begin));
    }
    return new Schedule(steps, 1, config.clip());
  }

  /** The second one twice. */
  private static int[] timesteps(SchedulerConfig config, int count) {
    double[] found = Timesteps.of(config.spacing(), config.trainTimesteps(), count);
    int offset = config.spacing() == Spacing.leading ? config.stepsOffset() : 0;
    int[] timesteps = new int[count == 1 ? 1 : count + 1];
    for (int i = 0; i < timesteps.length; i++) {
      timesteps[i] = (int) Math.rint(found[i < 2 ? i : i - 1]) + offset;
    }
    return timesteps;
  }

  private static Step step(SchedulerConfig config, int timestep, int stride, int made) {
    boolean repeats = made == 1;
    int from = repeats ? timestep + stride : timestep;
    Level now = Level.ofVariance(config.alphasCumprod()[from]);
    Level next = Level.ofVariance(config.alphaCumprod(from - stride));
    double keep = next.image() / now.image();
    double factor = next.noise() - keep * now.noise();
    // A velocity is made noise with the latent that the step starts from.
    boolean velocity = config.prediction() == Prediction.v_prediction;
    double[] memory = weights(made);
    for (int i = 0; i < memory.length; i++) {
      memory[i] *= velocity ? factor * now.image() : factor;
    }
    return new Step(
        timestep,
        1,
        Level.ofVariance(config.alphasCumprod()[timestep]),
        Memory.OUTPUT,
        repeats ? Anchor.KEPT : Anchor.LATENT,
        new Mix(0, velocity ? keep + factor * now.noise() : keep, 0, 0, memory),
        0);
  }

  /** Weights of the outputs of all steps; that of the repeated one serves there alone. */
  private static double[] weights(int made) {
    if (made == 1) {
      return new double[] {1. / 2, 1. / 2};
    }
    double[] formula = ADAMS_BASHFORTH[Math.max(0, Math.min(made, 4) - 1)];
    if (made == 0 || made > 4) {
      return formula.clone();
    }
    double[] weights = Arrays.copyOf(formula, made + 1);
    weights[made] = weights[made - 1];
    weights[made - 1] = 0;
    return weights;
  }
}
