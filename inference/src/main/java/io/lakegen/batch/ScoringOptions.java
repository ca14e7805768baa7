package io.lakegen.batch;

/**
 * How rows are gathered.
 *
 * @param windowRows most rows that are sorted together; larger windows pad less and hold more
 *     memory
 * @param windowBytes a window also ends when its inputs hold this much memory
 * @param prepareThreads threads that prepare rows
 */
public record ScoringOptions(int windowRows, long windowBytes, int prepareThreads) {
  public ScoringOptions {
    require("windowRows", windowRows);
    require("windowBytes", windowBytes);
    require("prepareThreads", prepareThreads);
  }

  private static void require(String key, long value) {
    if (value < 1) {
      throw new IllegalArgumentException(key + ": " + value + " (expected: 1 or more)");
    }
  }
}
