package io.lakegen.jobs.run;

import io.lakegen.batch.ScoringStats.Counter;
import java.io.PrintStream;
import java.time.Duration;
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
 * Prints how far a run has come: one line that is written over on a terminal, a line every five
 * seconds elsewhere. The counts of running tasks come with the executors' heartbeats, those of
 * finished tasks from the chunks' accumulators.
 */
final class Progress extends SparkListener implements AutoCloseable {
  static final String COUNTERS = "lakegen";

  private static final int LOG_COLUMNS = 200;
  private static final long LOOK_NANOS = TimeUnit.SECONDS.toNanos(3);

  private final LongSupplier total;
  private final Supplier<Map<Counter, Long>> finished;
  private final Map<Long, Map<Counter, Long>> running = new ConcurrentHashMap<>();
  private final SparkContext context;
  private final PrintStream out;
  private final boolean terminal;
  private final ProgressLine line;
  private final long start = System.nanoTime();
  private int columns = LOG_COLUMNS;
  private long lookedAt;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(Progress::daemon);

  Progress(
      String job,
      LongSupplier total,
      Supplier<Map<Counter, Long>> finished,
      SparkContext context,
      PrintStream out) {
    this.line = new ProgressLine(job);
    this.total = total;
    this.finished = finished;
    this.context = context;
    this.out = out;
    this.terminal = Terminal.isThere();
  }

  private static Thread daemon(Runnable runnable) {
    Thread thread = new Thread(runnable, "lakegen-progress");
    thread.setDaemon(true);
    return thread;
  }

  void start() {
    context.addSparkListener(this);
    Duration period = terminal ? Duration.ofMillis(500) : Duration.ofSeconds(5);
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
    ProgressLine.Sample now =
        new ProgressLine.Sample(
            (System.nanoTime() - start) / 1e9,
            total.getAsLong(),
            sum(Counter.rows) + sum(Counter.partialThousandths) / 1e3,
            sum(Counter.failed),
            sum(Counter.batches));
    if (terminal) {
      lookAtTerminal();
      out.print("\r" + line.of(now, columns - 1) + "\u001b[K");
      out.flush();
    } else {
      out.println(line.of(now, columns));
    }
  }

  private void lookAtTerminal() {
    long now = System.nanoTime();
    if (lookedAt == 0 || now - lookedAt > LOOK_NANOS) {
      columns = Terminal.columns();
      lookedAt = now;
    }
  }

  private long sum(Counter counter) {
    long sum = finished.get().getOrDefault(counter, 0L);
    for (Map<Counter, Long> task : running.values()) {
      sum += task.getOrDefault(counter, 0L);
    }
    return sum;
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
