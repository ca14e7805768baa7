package io.lakegen.batch;

import java.util.Objects;

/**
 * How rows are gathered, and for how long they may be worked on.
 *
 * @param windowRows most rows that are sorted together; larger windows pad less and hold more
 *     memory
 * @param windowBytes a window also ends when its inputs hold this much memory
 * @param prepareThreads threads that prepare rows
 * @param model how messages name the model and its device
 */
public record ScoringOptions(
    int windowRows, long windowBytes, int prepareThreads, Timeouts timeouts, String model) {
  public ScoringOptions {
    require("windowRows", windowRows);
    require("windowBytes", windowBytes);
    require("prepareThreads", prepareThreads);
    Objects.requireNonNull(timeouts, "timeouts");
    Objects.requireNonNull(model, "model");
  }

  /** Without time limits. */
  public ScoringOptions(int windowRows, long windowBytes, int prepareThreads) {
    this(windowRows, windowBytes, prepareThreads, Timeouts.NONE, "the model");
  }

  private static void require(String key, long value) {
    if (value < 1) {
      throw new IllegalArgumentException(key + ": " + value + " (expected: 1 or more)");
    }
  }
}
