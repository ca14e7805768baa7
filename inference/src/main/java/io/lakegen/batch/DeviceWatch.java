package io.lakegen.batch;

import io.lakegen.model.DeviceUse;
import io.lakegen.task.Durations;
import java.time.Duration;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Knows which call the inference thread is in, for those that wait for it: a native call cannot be
 * interrupted, only told of. Thread-safe.
 */
final class DeviceWatch {
  private static final Duration FIRST_WARNING = Duration.ofSeconds(60);
  private static final long MOST_MILLIS = 1000;

  private final String model;
  private final Duration limit;
  private final DeviceUse use;
  private final LongSupplier clock;
  private volatile Call call;

  private static final class Call {
    private final String what;
    private final int rows;
    private final long cost;
    private final Supplier<String> names;
    private final long start;
    private long nextWarning = FIRST_WARNING.toNanos();

    Call(String what, int rows, long cost, Supplier<String> names, long start) {
      this.what = what;
      this.rows = rows;
      this.cost = cost;
      this.names = names;
      this.start = start;
    }
  }

  /**
   * Watches nothing yet.
   *
   * @param model how messages name the model and its device
   * @param limit of a call; null for none
   * @param use told of the calls
   * @param clock as {@link System#nanoTime}
   */
  DeviceWatch(String model, Duration limit, DeviceUse use, LongSupplier clock) {
    this.model = model;
    this.limit = limit;
    this.use = use;
    this.clock = clock;
  }

  /**
   * The inference thread enters a call for a batch.
   *
   * @param names of the rows, asked for only where somebody has to be told
   */
  void enter(int rows, long cost, Supplier<String> names) {
    String what = "a batch of " + rows + (rows == 1 ? " row" : " rows");
    use.begin();
    call = new Call(what, rows, cost, names, clock.getAsLong());
  }

  /** The inference thread enters a call for the golden inputs. */
  void enterCheck() {
    use.begin();
    call = new Call("the golden check", 0, 0, () -> "", clock.getAsLong());
  }

  void leave() {
    call = null;
    use.end();
  }

  /** How long a waiting thread should wait before it looks again. */
  long lookMillis() {
    return limit == null ? MOST_MILLIS : Math.max(1, Math.min(MOST_MILLIS, limit.toMillis() / 4));
  }

  /**
   * A warning about the present call, if one is due: after a minute, and again each time that the
   * call has taken twice as long.
   */
  Optional<String> warning() {
    Call present = call;
    if (present == null) {
      return Optional.empty();
    }
    synchronized (present) {
      long nanos = clock.getAsLong() - present.start;
      if (nanos < present.nextWarning) {
        return Optional.empty();
      }
      while (present.nextWarning <= nanos) {
        present.nextWarning *= 2;
      }
      return Optional.of(words(present, nanos));
    }
  }

  /** The failure of the present call, if it takes longer than it may. */
  Optional<BatchTimeoutException> overdue() {
    Call present = call;
    if (limit == null || present == null) {
      return Optional.empty();
    }
    long nanos = clock.getAsLong() - present.start;
    if (nanos <= limit.toNanos()) {
      return Optional.empty();
    }
    return Optional.of(
        new BatchTimeoutException(
            words(present, nanos)
                + " (expected: at most "
                + Durations.text(limit)
                + ", see --batch-timeout)"));
  }

  private String words(Call present, long nanos) {
    String rows =
        present.rows == 0 ? "" : " (cost " + present.cost + "; " + present.names.get() + ")";
    return model
        + ": "
        + present.what
        + rows
        + " has been in a device call for "
        + Durations.text(Duration.ofNanos(nanos));
  }
}
