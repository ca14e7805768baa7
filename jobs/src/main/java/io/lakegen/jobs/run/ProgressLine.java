package io.lakegen.jobs.run;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;

/**
 * How far a job has come, in a line. The rate is that of the last minute, from the first row on:
 * neither the start nor what a device did before tells when the rest will be done. Used by one
 * thread.
 */
final class ProgressLine {
  private static final double WINDOW_SECONDS = 60;

  private final String job;
  private final Deque<Sample> samples = new ArrayDeque<>();

  /**
   * What is known at a moment.
   *
   * @param seconds since the start
   * @param about rows there are, which is an estimate where nobody has counted them
   * @param done rows with an outcome, and parts of those that the model is at
   */
  record Sample(double seconds, long about, double done, long failed, long batches) {}

  ProgressLine(String job) {
    this.job = job;
  }

  /**
   * The line.
   *
   * @param columns most characters; what matters least is left out
   */
  String of(Sample now, int columns) {
    if (now.done() == 0) {
      samples.clear();
    }
    while (samples.size() > 1 && samples.peekFirst().seconds() < now.seconds() - WINDOW_SECONDS) {
      samples.removeFirst();
    }
    samples.addLast(now);
    List<String> parts = new ArrayList<>();
    if (now.done() == 0) {
      parts.add(job + ": starting, " + duration(now.seconds()));
      return fit(parts, columns);
    }
    double total = Math.max((double) now.about(), now.done());
    parts.add(
        String.format(
            Locale.ROOT,
            "%s: %s of about %,.0f rows (%.0f %%)",
            job,
            rows(now.done()),
            total,
            Math.floor(100 * now.done() / total)));
    double rate = rate();
    if (rate > 0) {
      parts.add(duration((total - now.done()) / rate) + " left");
      parts.add(rate(rate));
    }
    if (now.failed() > 0) {
      parts.add(String.format(Locale.ROOT, "%,d failed", now.failed()));
    }
    parts.add(String.format(Locale.ROOT, "%,d batches", now.batches()));
    return fit(parts, columns);
  }

  private double rate() {
    Sample first = samples.peekFirst();
    Sample last = samples.peekLast();
    double seconds = last.seconds() - first.seconds();
    return seconds > 0 ? Math.max(0, last.done() - first.done()) / seconds : 0;
  }

  private static String rate(double rate) {
    if (rate >= 0.1) {
      return String.format(Locale.ROOT, rate < 10 ? "%.1f rows/s" : "%,.0f rows/s", rate);
    }
    return String.format(Locale.ROOT, "%.1f rows/min", rate * 60);
  }

  /** Few rows, of minutes each, move by tenths. */
  private static String rows(double done) {
    return done == Math.rint(done) || done >= 100
        ? String.format(Locale.ROOT, "%,.0f", Math.floor(done))
        : String.format(Locale.ROOT, "%.1f", Math.floor(done * 10) / 10);
  }

  private static String fit(List<String> parts, int columns) {
    StringBuilder line = new StringBuilder(parts.get(0));
    for (String part : parts.subList(1, parts.size())) {
      if (line.length() + 2 + part.length() > columns) {
        break;
      }
      line.append(", ").append(part);
    }
    return line.length() <= columns ? line.toString() : line.substring(0, Math.max(0, columns));
  }

  static String duration(double seconds) {
    long whole = Math.round(seconds);
    if (whole >= 3600) {
      return String.format(Locale.ROOT, "%d h %02d min", whole / 3600, whole / 60 % 60);
    }
    return whole >= 60
        ? String.format(Locale.ROOT, "%d min %02d s", whole / 60, whole % 60)
        : whole + " s";
  }
}
