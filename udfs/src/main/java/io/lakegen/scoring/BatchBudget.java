package io.lakegen.scoring;

import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The padded cost that one batch may take, shared by all threads that use a model. It only ever
 * shrinks: out of memory teaches a ceiling that later batches keep to. Thread-safe.
 */
public final class BatchBudget {
  private static final Logger LOG = LoggerFactory.getLogger(BatchBudget.class);

  private final AtomicLong current;

  /**
   * A budget before anything is learnt.
   *
   * @throws IllegalArgumentException if it is below 1
   */
  public BatchBudget(long initial) {
    if (initial < 1) {
      throw new IllegalArgumentException("batch budget: " + initial + " (expected: 1 or more)");
    }
    current = new AtomicLong(initial);
  }

  /** Padded cost that the next batch may take; a single row may exceed it. */
  public long current() {
    return current.get();
  }

  /** Learns that a batch of this padded cost did not fit. */
  void tooMuch(long cost) {
    long lowered = Math.max(1, cost / 2);
    long before = current.getAndAccumulate(lowered, Math::min);
    if (lowered < before) {
      LOG.warn(
          "a batch of cost {} ran out of memory: batch budget lowered from {} to {}",
          cost,
          before,
          lowered);
    }
  }
}
