package io.lakegen.spark;

import io.lakegen.batch.ScoringStats.Counter;
import java.util.EnumMap;
import java.util.Map;
import org.apache.spark.util.AccumulatorV2;

/**
 * Sums the counters of all partitions on the driver, for progress and for the time spent in each
 * stage. Retried and speculative tasks count twice: what must be true is counted in the committed
 * output instead.
 */
public final class CountersAccumulator
    extends AccumulatorV2<Map<Counter, Long>, Map<Counter, Long>> {
  private static final long serialVersionUID = 1L;

  /**
   * Replaced, never changed: Spark's heartbeat thread serialises it while the task's thread adds to
   * it.
   */
  private volatile EnumMap<Counter, Long> sums = new EnumMap<>(Counter.class);

  @Override
  public boolean isZero() {
    return sums.isEmpty();
  }

  @Override
  public CountersAccumulator copy() {
    CountersAccumulator copy = new CountersAccumulator();
    copy.add(sums);
    return copy;
  }

  @Override
  public synchronized void reset() {
    sums = new EnumMap<>(Counter.class);
  }

  @Override
  public synchronized void add(Map<Counter, Long> amounts) {
    EnumMap<Counter, Long> next = new EnumMap<>(sums);
    amounts.forEach((counter, amount) -> next.merge(counter, amount, Long::sum));
    sums = next;
  }

  @Override
  public void merge(AccumulatorV2<Map<Counter, Long>, Map<Counter, Long>> other) {
    add(other.value());
  }

  @Override
  public Map<Counter, Long> value() {
    return new EnumMap<>(sums);
  }
}
