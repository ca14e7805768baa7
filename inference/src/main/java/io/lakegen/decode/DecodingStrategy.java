package io.lakegen.decode;

import ai.djl.ndarray.NDArray;
import java.util.List;

/** How the next tokens of rows are chosen. Thread-safe: the state is in the rows. */
interface DecodingStrategy {

  /** Rows that one group may come to take. */
  int rowsPerGroup();

  /** Groups that one request makes. */
  int groupsPerRequest();

  /**
   * Appends a token to every row, and ends or forks rows.
   *
   * @param logits {@code [rows, vocabulary]}, float32; owned by the manager of this step
   * @param rows whole groups; they are live in {@code batch}
   */
  void advance(NDArray logits, List<DecodeRow> rows, SlotBatch<?> batch);
}
