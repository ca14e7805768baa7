package io.lakegen.batch;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/** Counts and times of a scorer, written by its threads and read by anyone. Thread-safe. */
public final class ScoringStats {
  /** What is counted; the times are in nanoseconds, summed over threads. */
  public enum Counter {
    /** Rows with an outcome, good or not. */
    rows,
    /** Rows whose outcome is an error. */
    failed,
    /** Cost of the rows without padding. */
    size,
    /** Cost of the batches, padding counted. */
    padded,
    batches,
    /** Batches that ran out of memory and were split. */
    outOfMemory,
    readNanos,
    prepareNanos,
    inferNanos,
    /** Time that the consumer took between rows: writing, in a Spark task. */
    writeNanos,
    /**
     * Thousandths of rows that batches under way are worth so far. Taken back when a batch ends,
     * well or not: its rows count as {@link #rows} then, or are tried again.
     */
    partialThousandths
  }

  private final Map<Counter, LongAdder> values = new EnumMap<>(Counter.class);

  /** All counters at zero. */
  public ScoringStats() {
    Arrays.stream(Counter.values()).forEach(c -> values.put(c, new LongAdder()));
  }

  void add(Counter counter, long amount) {
    values.get(counter).add(amount);
  }

  /** The present value of a counter. */
  public long value(Counter counter) {
    return values.get(counter).sum();
  }

  @Override
  public String toString() {
    return values.toString();
  }
}
