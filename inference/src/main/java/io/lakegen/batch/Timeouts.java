package io.lakegen.batch;

import java.io.Serializable;
import java.time.Duration;

/**
 * How long things may take before they are given up.
 *
 * @param batch a call of {@link io.lakegen.task.Task#infer}; null for no limit
 * @param row a call of {@link io.lakegen.task.Task#prepare}; null for no limit
 */
public record Timeouts(Duration batch, Duration row) implements Serializable {
  /** No limits. */
  public static final Timeouts NONE = new Timeouts(null, null);

  public Timeouts {
    require("batch-timeout", batch);
    require("row-timeout", row);
  }

  private static void require(String key, Duration value) {
    if (value != null && (value.isNegative() || value.isZero())) {
      throw new IllegalArgumentException(key + ": " + value + " (expected: more than 0)");
    }
  }
}
