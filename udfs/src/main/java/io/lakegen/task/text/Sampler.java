package io.lakegen.task.text;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.List;

/**
 * Draws tokens by inverting the cumulative distribution on the device, with one uniform number a
 * row and step. The numbers depend on the row's seed, the sequence and the step only: a
 * counter-based generator, SplitMix64's output function (Steele, Lea and Flood, OOPSLA 2014)
 * applied to a counter.
 */
final class Sampler {
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  private Sampler() {}

  /**
   * Draws a token for every row.
   *
   * @param scores processed logits {@code [rows, vocabulary]}; minus infinity for tokens that may
   *     not be drawn
   * @return int64 {@code [rows]}
   */
  static NDArray draw(NDArray scores, List<DecodeRow> rows) {
    NDManager manager = scores.getManager();
    double[] uniforms = rows.stream().mapToDouble(Sampler::uniform).toArray();
    // In double: a float sum over a vocabulary of 100,000 would round away rare tokens.
    NDArray cumulative = scores.toType(DataType.FLOAT64, false).softmax(1).cumSum(1);
    NDArray total = cumulative.max(new int[] {1}, true);
    NDArray threshold = total.mul(manager.create(uniforms, new Shape(rows.size(), 1)));
    return cumulative.lte(threshold).toType(DataType.INT64, false).sum(new int[] {1});
  }

  private static double uniform(DecodeRow row) {
    return uniform(row.group.request.seed(), row.group.sequence, row.generated());
  }

  /** A uniform number in [0, 1) with 52 bits, so that its product with a sum stays below it. */
  static double uniform(long seed, int sequence, int step) {
    long stream = mix(seed + (sequence + 1) * GOLDEN_GAMMA);
    return (mix(stream + (step + 1) * GOLDEN_GAMMA) >>> 12) * 0x1.0p-52;
  }

  private static long mix(long value) {
    long z = (value ^ (value >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
