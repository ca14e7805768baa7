package io.lakegen.jobs.cli;

import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Where a command's time goes, from the moment at which its user started it. Used by one thread.
 */
final class Phases {
  private final Map<String, Double> seconds = new LinkedHashMap<>();
  private double last;

  /** With what came before: the launcher, and the start of the Java machine. */
  Phases() {
    double now = System.currentTimeMillis() / 1e3;
    double java = ManagementFactory.getRuntimeMXBean().getStartTime() / 1e3;
    String launched = System.getProperty("lakegen.launched");
    if (launched != null) {
      seconds.put("launcher", java - Double.parseDouble(launched));
    }
    seconds.put("Java", now - java);
    last = now;
  }

  /** What was done since the last call. */
  void done(String phase) {
    double now = System.currentTimeMillis() / 1e3;
    seconds.merge(phase, now - last, Double::sum);
    last = now;
  }

  void print(PrintStream out) {
    StringBuilder line = new StringBuilder();
    double all = 0;
    for (Map.Entry<String, Double> phase : seconds.entrySet()) {
      all += phase.getValue();
      line.append(String.format(Locale.ROOT, ", %s %.1f s", phase.getKey(), phase.getValue()));
    }
    out.printf(Locale.ROOT, "from command to prompt: %.1f s: %s%n", all, line.substring(2));
  }
}
