package io.lakegen.decode;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.lakegen.task.CounterRandom;
import java.util.List;

/**
 * Draws tokens by inverting the cumulative distribution on the device, with one uniform number a
 * row and step, which depends on the row's seed, the sequence and the step only.
 */
final class Sampler {
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
    return CounterRandom.uniform(row.group.request.seed(), row.group.sequence, row.generated());
  }
}
