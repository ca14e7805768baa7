package io.lakegen.batch;

import io.lakegen.task.RowError;

/**
 * A row with its outcome: exactly one of result and error is null.
 *
 * @param row the caller's row
 */
public record Scored<R, O>(R row, O result, RowError error) {
  public Scored {
    if ((result == null) == (error == null)) {
      throw new IllegalArgumentException("exactly one of result and error is expected");
    }
  }
}
