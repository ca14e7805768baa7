package io.lakegen.spark;

import io.lakegen.batch.ScoringStats;
import io.lakegen.batch.ScoringStats.Counter;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.Consumer;

/** Hands on what has come to the counters of a partition since the last time. Thread-safe. */
final class CountersFeed {
  private final ScoringStats stats;
  private final Consumer<Map<Counter, Long>> target;
  private final EnumMap<Counter, Long> sent = new EnumMap<>(Counter.class);

  CountersFeed(ScoringStats stats, Consumer<Map<Counter, Long>> target) {
    this.stats = stats;
    this.target = target;
  }

  synchronized void send() {
    EnumMap<Counter, Long> amounts = new EnumMap<>(Counter.class);
    for (Counter counter : Counter.values()) {
      long now = stats.value(counter);
      Long before = sent.put(counter, now);
      amounts.put(counter, before == null ? now : now - before);
    }
    target.accept(amounts);
    ExecutorMetrics.add(amounts);
  }
}
