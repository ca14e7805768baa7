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
    double cpu = cpu();
    long start = System.nanoTime();
    work.run();
    return new Spent((System.nanoTime() - start) / 1e9, cpu() - cpu);
  }

  private static double cpu() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime()
        / 1e9;
  }
}
