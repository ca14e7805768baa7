package io.lakegen.task;

import ai.djl.Device;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a task may put on a device at once, in the task's own unit, shared by all threads that use
 * the model. Out of memory, wherever it is met, teaches a ceiling that only ever falls and that
 * everything after it keeps to. Below it the budget is a constant, or what the first batches show
 * to be the fastest of several. Thread-safe.
 */
public final class Budget {
  private static final Logger LOG = LoggerFactory.getLogger(Budget.class);
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final AtomicLong ceiling;

  /** Null where the budget is a constant. */
  private final BudgetTrial trial;

  private final LongSupplier clock;

  /**
   * The unit of a task's budget and its defaults.
   *
   * @param counts what is counted, in the plural, such as {@code tokens in a batch}
   * @param cpu default on CPUs
   * @param gpu default on GPUs
   * @param tried budgets, ascending, of which a run on a CPU takes the fastest instead of the
   *     default; empty where the default stands
   */
  public record Unit(String counts, long cpu, long gpu, List<Long> tried) {
    public Unit {
      tried = List.copyOf(tried);
      if (!tried.isEmpty() && !tried.contains(cpu)) {
        throw new IllegalArgumentException("cpu: " + cpu + " (expected: one of " + tried + ")");
      }
    }

    /** A unit whose defaults stand. */
    public Unit(String counts, long cpu, long gpu) {
      this(counts, cpu, gpu, List.of());
    }

    /** What help says of a task that counts the one or the other; its defaults are this one's. */
    public Unit or(Unit other) {
      return new Unit(
          counts + "; " + other.counts + " (default " + other.cpu + " and " + other.gpu + ")",
          cpu,
          gpu,
          tried);
    }

    /** The default on a device. */
    public long on(Device device) {
      return device.isGpu() ? gpu : cpu;
    }

    /**
     * What a run on a device begins with if its user names no budget.
     *
     * @param threads that an operation of the model may use on a CPU. One is timed by the processor
     *     that it had: what else goes on, such as compiling in a JVM's first seconds, would decide
     *     otherwise.
     */
    public Budget budget(Device device, int threads) {
      boolean own = threads == 1 && THREADS.isCurrentThreadCpuTimeSupported();
      return budget(device, own ? THREADS::getCurrentThreadCpuTime : System::nanoTime);
    }

    /** With a clock of the caller's, in nanoseconds. */
    public Budget budget(Device device, LongSupplier clock) {
      return device.isGpu() || tried.isEmpty()
          ? new Budget(on(device))
          : new Budget(Long.MAX_VALUE, new BudgetTrial(tried, cpu), clock);
    }
  }

  /**
   * A budget that stands until memory runs out.
   *
   * @throws IllegalArgumentException if it is below 1
   */
  public Budget(long initial) {
    this(initial, null, System::nanoTime);
  }

  private Budget(long ceiling, BudgetTrial trial, LongSupplier clock) {
    if (ceiling < 1) {
      throw new IllegalArgumentException("batch-budget: " + ceiling + " (expected: 1 or more)");
    }
    this.ceiling = new AtomicLong(ceiling);
    this.trial = trial;
    this.clock = clock;
  }

  /** What may be on the device now; a single row may exceed it. */
  public long current() {
    long most = ceiling.get();
    return trial == null ? most : Math.min(most, trial.current());
  }

  /** Nanoseconds by the clock that batches are to be timed with, read by the thread that infers. */
  public long now() {
    return clock.getAsLong();
  }

  /**
   * Tells how long a batch took.
   *
   * @param budget what was {@link #current} when it was cut
   * @param size of its rows, without padding
   */
  public void ran(long budget, long size, long nanos) {
    if (trial != null) {
      Optional<String> found = trial.ran(budget, size, nanos);
      found.ifPresent(rates -> LOG.info("batch budget {}, measured: {}", current(), rates));
    }
  }

  /** Learns that this much did not fit: from now on half of it is the ceiling. */
  public void exceeded(long cost) {
    long lowered = Math.max(1, cost / 2);
    long before = current();
    if (trial != null) {
      trial.stop();
    }
    ceiling.getAndAccumulate(lowered, Math::min);
    if (lowered < before) {
      LOG.warn(
          "a batch of cost {} ran out of memory: batch budget lowered from {} to {}",
          cost,
          before,
          current());
    }
  }

  @Override
  public String toString() {
    return trial == null || !trial.runs() ? Long.toString(current()) : "to be measured";
  }
}
