package io.lakegen.task;

import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a task may put on a device at once, in the task's own unit, shared by all threads that use
 * the model. It only ever shrinks: out of memory, wherever it is met, teaches a ceiling that
 * everything after it keeps to. Thread-safe.
 */
public final class Budget {
  private static final Logger LOG = LoggerFactory.getLogger(Budget.class);

  private final AtomicLong current;

  /**
   * The unit of a task's budget and its defaults.
   *
   * @param counts what is counted, in the plural, such as {@code tokens in a batch}
   * @param cpu default on CPUs
   * @param gpu default on GPUs
   */
  public record Unit(String counts, long cpu, long gpu) {
    /** What help says of a task that counts the one or the other; its defaults are this one's. */
    public Unit or(Unit other) {
      return new Unit(
          counts + "; " + other.counts + " (default " + other.cpu + " and " + other.gpu + ")",
          cpu,
          gpu);
    }

    /** The default on a device. */
    public long on(ai.djl.Device device) {
      return device.isGpu() ? gpu : cpu;
    }
  }

  /**
   * A budget before anything is learnt.
   *
   * @throws IllegalArgumentException if it is below 1
   */
  public Budget(long initial) {
    if (initial < 1) {
      throw new IllegalArgumentException("batch-budget: " + initial + " (expected: 1 or more)");
    }
    current = new AtomicLong(initial);
  }

  /** What may be on the device now; a single row may exceed it. */
  public long current() {
    return current.get();
  }

  /** Learns that this much did not fit: from now on half of it is the ceiling. */
  public void exceeded(long cost) {
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
