package io.lakegen.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;

/** What a piece of work takes by the clock and of this process's processor time. */
record Spent(double seconds, double cpuSeconds) {
  /** Work to measure. */
  interface Work<E extends Exception> {
    void run() throws E;
  }

  static <E extends Exception> Spent by(Work<E> work) throws E {
    double cpu = processorSeconds();
    long start = System.nanoTime();
    work.run();
    return new Spent((System.nanoTime() - start) / 1e9, processorSeconds() - cpu);
  }

  /** What so many times the work would take. */
  Spent times(double count) {
    return new Spent(seconds * count, cpuSeconds * count);
  }

  /**
   * Seconds of all processors that this process has used: unlike the clock, it does not count what
   * other processes take.
   */
  static double processorSeconds() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime()
        / 1e9;
  }
}
