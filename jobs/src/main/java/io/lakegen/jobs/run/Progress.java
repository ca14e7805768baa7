package io.lakegen.jobs.run;

import io.lakegen.batch.ScoringStats.Counter;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.apache.spark.SparkContext;
import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Prints how far a run has come: one line that is written over on a terminal, a line every ten
 * seconds elsewhere. The counts of running tasks come with the executors' heartbeats, those of
 * finished tasks from the chunks' accumulators.
 */
final class Progress extends SparkListener implements AutoCloseable {
  static final String COUNTERS = "lakegen";

  private final String job;
  private final LongSupplier total;
  private final Supplier<Map<Counter, Long>> finished;
  private final Map<Long, Map<Counter, Long>> running = new ConcurrentHashMap<>();
  private final SparkContext context;
  private final PrintStream out;
  private final boolean terminal;
  private final long start = System.nanoTime();
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(Progress::daemon);

  Progress(
      String job,
      LongSupplier total,
      Supplier<Map<Counter, Long>> finished,
      SparkContext context,
      PrintStream out) {
    this.job = job;
    this.total = total;
    this.finished = finished;
    this.context = context;
    this.out = out;
    this.terminal = Boolean.getBoolean("lakegen.terminal");
  }

  private static Thread daemon(Runnable runnable) {
    Thread thread = new Thread(runnable, "lakegen-progress");
    thread.setDaemon(true);
    return thread;
  }

  void start() {
    context.addSparkListener(this);
    Duration period = terminal ? Duration.ofMillis(500) : Duration.ofSeconds(10);
    var unused =
        timer.scheduleAtFixedRate(
            this::print, period.toMillis(), period.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  public void onExecutorMetricsUpdate(SparkListenerExecutorMetricsUpdate update) {
    CollectionConverters.asJava(update.accumUpdates())
        .forEach(
            task -> {
              for (AccumulableInfo info : CollectionConverters.asJava(task._4())) {
                if (info.name().isDefined()
                    && info.name().get().equals(COUNTERS)
                    && info.update().isDefined()) {
                  @SuppressWarnings("unchecked") // the accumulator of that name has this type
                  Map<Counter, Long> counters = (Map<Counter, Long>) info.update().get();
                  running.put((Long) task._1(), counters);
                }
              }
            });
  }

  @Override
  public void onTaskEnd(SparkListenerTaskEnd end) {
    running.remove(end.taskInfo().taskId());
  }

  private void print() {
    String line =
        line(
            job,
            total.getAsLong(),
            sum(Counter.rows),
            sum(Counter.failed),
            (System.nanoTime() - start) / 1e9);
    if (terminal) {
      out.print("\r" + line + "\u001b[K");
      out.flush();
    } else {
      out.println(line);
    }
  }

  private long sum(Counter counter) {
    long sum = finished.get().getOrDefault(counter, 0L);
    for (Map<Counter, Long> task : running.values()) {
      sum += task.getOrDefault(counter, 0L);
    }
    return sum;
  }

  /** The total is an estimate where nobody has counted the rows. */
  static String line(String job, long about, long rows, long failed, double seconds) {
    long total = Math.max(about, rows);
    double rate = seconds > 0 ? rows / seconds : 0;
    String left = rate > 0 ? duration((total - rows) / rate) + " left" : "starting";
    return String.format(
        Locale.ROOT,
        "%s: %,d of about %,d rows (%.0f %%), %,.1f rows/s, %,d failed, %s",
        job,
        rows,
        total,
        total == 0 ? 100.0 : 100.0 * rows / total,
        rate,
        failed,
        left);
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

  @Override
  public void close() {
    timer.shutdownNow();
    context.removeSparkListener(this);
    if (terminal) {
      out.print("\r\u001b[K");
      out.flush();
    }
  }
}
