package io.lakegen.task;

import java.io.IOException;
import java.util.List;

/**
 * What a model does with rows; the model itself belongs to whoever loaded it. One instance per
 * model, device and options serves all threads of a JVM: every method is thread-safe.
 *
 * @param <P> a row ready for the device, in Java memory
 * @param <O> a row's result, in Java memory
 */
public interface Task<P, O> {

  /**
   * Makes one row ready, on the CPU (decode, tokenise).
   *
   * @throws RowException if the row is bad; any other exception counts as a bad row too
   */
  P prepare(RowInput row) throws RowException;

  /** What the row takes of the {@link Budget} without padding, at least 1. */
  int size(P prepared);

  /**
   * {@link #size} rounded up to the shape the device will see. Rows of one cost share a batch
   * without padding; a batch of n rows takes n times its largest cost.
   */
  default int cost(P prepared) {
    return size(prepared);
  }

  /**
   * True if {@link #infer} makes its own batches of a whole window, and keeps to the budget itself;
   * size and cost then count rows.
   */
  default boolean takesWholeWindows() {
    return false;
  }

  /** Rows share a batch only if they are equal in this; by default all are. */
  default Object group(P prepared) {
    return List.of();
  }

  /** Memory that a row holds while it waits in a window, in bytes, near enough. */
  default long inputBytes(RowInput row) {
    return row.length();
  }

  /**
   * Rows that are equal in this, and not null, are inferred once per window and share the result.
   */
  default Object identity(P prepared) {
    return null;
  }

  /**
   * Runs the model.
   *
   * @param batch one row or more, in any order
   * @return a result for every row, in the same order
   */
  List<O> infer(List<P> batch);

  /**
   * The output rows of a result, at least one.
   *
   * @return for each, the values of the definition's results in their order, without that of an
   *     {@link Result.Type#INDEX}; of the Java types that {@link Result.Type} names
   */
  List<List<Object>> values(O result);

  /**
   * Proves on the device that the model still answers as the reference implementation did.
   *
   * @throws RuntimeException or IOException if it does not
   */
  void check() throws IOException;
}
