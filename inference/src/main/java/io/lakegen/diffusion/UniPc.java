package io.lakegen.diffusion;

import io.lakegen.diffusion.Schedule.Anchor;
import io.lakegen.diffusion.Schedule.Level;
import io.lakegen.diffusion.Schedule.Memory;
import io.lakegen.diffusion.Schedule.Mix;
import io.lakegen.diffusion.Schedule.Step;
import java.util.ArrayList;
import java.util.List;

/**
 * UniPC (arXiv 2302.04867) with {@code B(h) = exp(h) - 1}: a step first corrects the latent that
 * the last one predicted, with the model's answer to it, and predicts the next one from the
 * corrected.
 */
final class UniPc {
  private final SchedulerConfig config;
  private final SigmaGrid grid;

  private UniPc(SchedulerConfig config, SigmaGrid grid) {
    this.config = config;
    this.grid = grid;
  }

  static Schedule schedule(SchedulerConfig config, int count, int begin) {
    UniPc solver = new UniPc(config, SigmaGrid.rounded(config, count));
    List<Step> steps = new ArrayList<>();
    Anchor corrected = Anchor.LATENT;
    for (int i = begin; i < count; i++) {
      int order = Math.min(Math.min(config.solverOrder(), count - i), i - begin + 1);
      steps.add(solver.step(i, order, corrected));
      corrected = solver.correction(i + 1, order);
    }
    return new Schedule(steps, 1, config.clip());
  }

  private Step step(int i, int order, Anchor corrected) {
    Level level = SigmaGrid.variance(grid.sigmas()[i]);
    return new Step(
        grid.timesteps()[i],
        1,
        level,
        Memory.x0(config.prediction(), level),
        corrected,
        prediction(i, order),
        0);
  }

  /** From step {@code i} to the next, by differences to the answers of earlier steps. */
  private Mix prediction(int i, int order) {
    Series series = new Series(i, i + 1, order);
    double[] memory = new double[order];
    memory[0] = series.scale();
    double[] rho =
        order < 3 ? new double[] {0.5} : solve(series.powers(order - 1), series.sums(order - 1));
    for (int k = 1; k < order; k++) {
      double weight = series.scale() * rho[k - 1] / series.ratios[k - 1];
      memory[k] = weight;
      memory[0] -= weight;
    }
    return new Mix(0, series.keep(), 0, 0, memory);
  }

  /** Of the latent that step {@code i - 1} predicted, from its anchor. */
  private Anchor correction(int i, int order) {
    Series series = new Series(i - 1, i, order);
    double[] memory = new double[order + 1];
    memory[1] = series.scale();
    double[] rho =
        order == 1 ? new double[] {0.5} : solve(series.powers(order), series.sums(order));
    for (int k = 1; k <= order; k++) {
      double weight = series.scale() * rho[k - 1] / series.ratios[k - 1];
      memory[k == order ? 0 : k + 1] = weight;
      memory[1] -= weight;
    }
    return new Anchor(series.keep(), memory);
  }

  /** What the paper calls h, r, B(h) and phi, on the way from one level to another. */
  private final class Series {
    private final Level from;
    private final Level to;
    private final double minusH;

    /** Of the earlier levels and, last, of the target, by their distance in units of h. */
    private final double[] ratios;

    Series(int start, int end, int order) {
      double[] sigmas = grid.sigmas();
      from = SigmaGrid.variance(sigmas[start]);
      to = SigmaGrid.variance(sigmas[end]);
      minusH = Math.log(sigmas[end] / sigmas[start]);
      ratios = new double[order];
      for (int k = 1; k < order; k++) {
        ratios[k - 1] = Math.log(sigmas[start - k] / sigmas[start]) / minusH;
      }
      ratios[order - 1] = 1;
    }

    double keep() {
      return to.noise() / from.noise();
    }

    /** Weight of the answer at the start, and of all the differences to it. */
    double scale() {
      return -to.image() * Math.expm1(minusH);
    }

    double[][] powers(int size) {
      double[][] powers = new double[size][size];
      for (int row = 0; row < size; row++) {
        for (int k = 0; k < size; k++) {
          powers[row][k] = Math.pow(ratios[k], row);
        }
      }
      return powers;
    }

    double[] sums(int size) {
      double[] sums = new double[size];
      double phi = Math.expm1(minusH) / minusH - 1;
      double factorial = 1;
      for (int i = 0; i < size; i++) {
        sums[i] = phi * factorial / Math.expm1(minusH);
        factorial *= i + 2;
        phi = phi / minusH - 1 / factorial;
      }
      return sums;
    }
  }

  /** Solves a small system of equations by elimination with pivots. */
  private static double[] solve(double[][] rows, double[] right) {
    int size = right.length;
    for (int column = 0; column < size; column++) {
      int pivot = column;
      for (int row = column + 1; row < size; row++) {
        if (Math.abs(rows[row][column]) > Math.abs(rows[pivot][column])) {
          pivot = row;
        }
      }
      double[] swapped = rows[column];
      rows[column] = rows[pivot];
      rows[pivot] = swapped;
      double value = right[column];
      right[column] = right[pivot];
      right[pivot] = value;
      for (int row = column + 1; row < size; row++) {
        double factor = rows[row][column] / rows[column][column];
        for (int k = column; k < size; k++) {
          rows[row][k] -= factor * rows[column][k];
        }
        right[row] -= factor * right[column];
      }
    }
    for (int row = size - 1; row >= 0; row--) {
      for (int k = row + 1; k < size; k++) {
        right[row] -= rows[row][k] * right[k];
      }
      right[row] /= rows[row][row];
    }
    return right;
  }
}
