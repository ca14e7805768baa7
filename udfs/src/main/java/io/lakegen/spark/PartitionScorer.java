package io.lakegen.spark;

import io.lakegen.spark.RowFormat.KeptRow;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.sql.catalyst.InternalRow;

/** Scores a partition of a job on the executor: input rows in, output rows out. */
public final class PartitionScorer implements FlatMapFunction<Iterator<InternalRow>, InternalRow> {
  private static final long serialVersionUID = 1L;

  private final ScoringPlan plan;
  private final CountersAccumulator counters;

  /**
   * @param counters registered with the Spark context
   */
  @SuppressWarnings("MissingSummary")
  public PartitionScorer(ScoringPlan plan, CountersAccumulator counters) {
    this.plan = plan;
    this.counters = counters;
  }

  @Override
  public Iterator<InternalRow> call(Iterator<InternalRow> rows) throws IOException {
    if (!rows.hasNext()) {
      return rows;
    }
    RowFormat format = new RowFormat(plan);
    Iterator<KeptRow> kept =
        new Iterator<>() {
          @Override
          public boolean hasNext() {
            return rows.hasNext();
          }

          @Override
          public KeptRow next() {
            return format.read(rows.next());
          }
        };
    ScoredRows<KeptRow> scored =
        new ScoredRows<>(plan, kept, KeptRow::input, KeptRow::key, counters::add);
    // A window of rows, or a single one, may take minutes: the next heartbeat tells of it too.
    ScheduledExecutorService timer =
        Executors.newSingleThreadScheduledExecutor(PartitionScorer::daemon);
    ScheduledFuture<?> unused =
        timer.scheduleWithFixedDelay(scored::sendCounts, 1, 1, TimeUnit.SECONDS);
    TaskContext.get()
        .addTaskCompletionListener(
            context -> {
              timer.shutdownNow();
            });
    return new Output(format, scored);
  }

  private static Thread daemon(Runnable runnable) {
    Thread thread = new Thread(runnable, "lakegen-counts");
    thread.setDaemon(true);
    return thread;
  }

  private static final class Output implements Iterator<InternalRow> {
    private final RowFormat format;
    private final ScoredRows<KeptRow> scored;
    private Iterator<InternalRow> pending = List.<InternalRow>of().iterator();

    Output(RowFormat format, ScoredRows<KeptRow> scored) {
      this.format = format;
      this.scored = scored;
    }

    @Override
    public boolean hasNext() {
      return pending.hasNext() || scored.hasNext();
    }

    @Override
    public InternalRow next() {
      if (!pending.hasNext()) {
        ScoredRows.Outcome<KeptRow> next = scored.next();
        pending = format.write(next.row(), next.values(), next.error()).iterator();
      }
      return pending.next();
    }
  }
}
