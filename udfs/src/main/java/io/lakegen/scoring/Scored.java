package io.lakegen.scoring;

import io.lakegen.task.RowError;

/**
 * A row with its outcome: exactly one of result and error is null.
 *
 * @param input the row as it was read
 */
public record Scored<I, O>(I input, O result, RowError error) {
  public Scored {
    if ((result == null) == (error == null)) {
      throw new IllegalArgumentException("exactly one of result and error is expected");
    }
  }
}
