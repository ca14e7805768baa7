package io.lakegen.model;

import java.util.function.LongSupplier;

/**
 * How long a device has been busy: the time in which at least one call ran on it. Calls that
 * overlap, of several tasks or models, count once; a call that still runs counts up to now, so that
 * one that hangs shows as a busy device. Thread-safe.
 */
public final class DeviceUse {
  private final LongSupplier clock;
  private final long start;
  private int running;
  private long busySince;
  private long busy;

  /** Of a device that is free, from now on. */
  public DeviceUse() {
    this(System::nanoTime);
  }

  /** With a clock of the caller's, as {@link System#nanoTime}. */
  DeviceUse(LongSupplier clock) {
    this.clock = clock;
    this.start = clock.getAsLong();
  }

  /** A call begins; the caller ends it, whatever comes of it. */
  public synchronized void begin() {
    if (running++ == 0) {
      busySince = clock.getAsLong();
    }
  }

  /** A call that {@linkplain #begin began} has ended. */
  public synchronized void end() {
    if (--running == 0) {
      busy += clock.getAsLong() - busySince;
    }
  }

  /** Nanoseconds in which a call ran. Never falls. */
  public synchronized long busyNanos() {
    return busy + (running > 0 ? clock.getAsLong() - busySince : 0);
  }

  /** Nanoseconds since this was made: at least what {@link #busyNanos} said before. */
  public long nanos() {
    return clock.getAsLong() - start;
  }
}
