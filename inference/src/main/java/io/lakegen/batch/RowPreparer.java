package io.lakegen.batch;

import io.lakegen.batch.BatchRunner.Row;
import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.task.Durations;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Prepares rows on threads of its own. A row that takes longer than the limit becomes an error row:
 * its thread is left to itself and another takes its place. Nobody watches the clock but the thread
 * that waits for the rows.
 */
final class RowPreparer<R, P, O> {
  private static final Logger LOG = LoggerFactory.getLogger(RowPreparer.class);

  /** Threads that are left to themselves at once: each may keep a core busy for ever. */
  private static final int MOST_LOST = 16;

  private final Function<R, RowInput> inputOf;
  private final Function<R, String> nameOf;
  private final Task<P, O> task;
  private final Duration limit;
  private final ScoringStats stats;
  private final LongSupplier clock;
  private final DaemonThreads threads;
  private final Set<Part> running = ConcurrentHashMap.newKeySet();

  /** Threads that were left to themselves and have not come back. Guarded by this. */
  private int lost;

  /**
   * Threads that wait for work.
   *
   * @param limit of a row's preparation; null for none
   * @param clock as {@link System#nanoTime}
   */
  RowPreparer(
      Function<R, RowInput> inputOf,
      Function<R, String> nameOf,
      Task<P, O> task,
      int threads,
      Duration limit,
      ScoringStats stats,
      LongSupplier clock) {
    this.inputOf = inputOf;
    this.nameOf = nameOf;
    this.task = task;
    this.limit = limit;
    this.stats = stats;
    this.clock = clock;
    this.threads = new DaemonThreads(threads, "lakegen-prepare");
  }

  /** Begins with rows as soon as a thread is free. */
  Part prepare(List<R> rows) {
    Part part = new Part(rows);
    threads.execute(part);
    return part;
  }

  /** Begins nothing any more. */
  void shutdown() {
    threads.shutdownNow();
  }

  /** Complete when no thread is inside the task any more, after {@link #shutdown}. */
  CompletableFuture<Void> stopped() {
    return threads.stopped();
  }

  /** After {@link #shutdown}: whether all threads that are left have been given up. */
  boolean onlyLostThreadsRun() {
    running.forEach(Part::loseIfOverdue);
    synchronized (this) {
      return lost > 0 && threads.getPoolSize() <= lost;
    }
  }

  private synchronized int lose() {
    return ++lost;
  }

  private synchronized void comeBack() {
    lost--;
  }

  /** Rows that one thread prepares, one after the other. */
  final class Part implements Runnable {
    private final List<R> rows;
    private final CompletableFuture<List<Row<P, O>>> done = new CompletableFuture<>();

    /** Outcomes so far. Guarded by this, as is what follows. */
    private final List<Row<P, O>> found;

    /** The thread that works on the next row; null if none does. */
    private Thread worker;

    private long since;

    private Part(List<R> rows) {
      this.rows = rows;
      this.found = new ArrayList<>(rows.size());
    }

    @Override
    public void run() {
      Thread me = Thread.currentThread();
      long start = System.nanoTime();
      running.add(this);
      try {
        int next = begin(me);
        while (next >= 0 && next < rows.size()) {
          R row = rows.get(next);
          Row<P, O> prepared = outcome(inputOf.apply(row));
          prepared.name = nameOf.apply(row);
          next = keep(me, prepared);
        }
        if (next >= 0) {
          end(start);
        }
      } catch (Throwable failure) {
        if (isMine(me)) {
          running.remove(this);
          done.completeExceptionally(failure);
        }
      } finally {
        if (!isMine(me)) {
          comeBack();
          threads.shrink();
        }
      }
    }

    private synchronized int begin(Thread me) {
      worker = me;
      since = clock.getAsLong();
      return found.size();
    }

    /** Takes a row's outcome and goes on to the next row; -1 if the row was given up meanwhile. */
    private synchronized int keep(Thread me, Row<P, O> outcome) {
      if (worker != me) {
        return -1;
      }
      found.add(outcome);
      since = clock.getAsLong();
      return found.size();
    }

    private synchronized boolean isMine(Thread me) {
      return worker == me;
    }

    private void end(long start) {
      long failed =
          found.stream()
              .filter(row -> row.error != null && !row.error.equals(RowInput.PLACE.error()))
              .count();
      stats.add(Counter.rows, failed);
      stats.add(Counter.failed, failed);
      stats.add(Counter.prepareNanos, System.nanoTime() - start);
      running.remove(this);
      done.complete(found);
    }

    /** Waits for the outcomes, in the order of the rows. */
    List<Row<P, O>> get() throws InterruptedException, ExecutionException {
      if (limit == null) {
        return done.get();
      }
      while (true) {
        try {
          return done.get(Math.max(1, Math.min(1000, limit.toMillis() / 4)), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
          String row = loseIfOverdue();
          if (row != null) {
            replaceWorker(row);
          }
        }
      }
    }

    /** Gives the present row up if it takes too long; its name then, else null. */
    private synchronized String loseIfOverdue() {
      if (limit == null || worker == null || clock.getAsLong() - since <= limit.toNanos()) {
        return null;
      }
      String name = nameOf.apply(rows.get(found.size()));
      StackTraceElement[] stack = worker.getStackTrace();
      LOG.warn(
          "preparing row {} takes more than {} and is given up{}",
          name,
          Durations.text(limit),
          stack.length == 0 ? "" : ", at " + stack[0]);
      Row<P, O> row =
          failed(
              new RowError(
                  "prepare",
                  "row_timeout",
                  "preparing the row took more than "
                      + Durations.text(limit)
                      + " (see --row-timeout)"));
      row.name = name;
      found.add(row);
      worker = null;
      lose();
      return name;
    }

    private void replaceWorker(String row) {
      synchronized (RowPreparer.this) {
        if (lost > MOST_LOST) {
          throw new EngineFaultException(
              lost
                  + " rows at once hang in preparation, the last of them "
                  + row
                  + " (expected: at most "
                  + MOST_LOST
                  + "; each keeps a thread)",
              null);
        }
      }
      threads.grow(this);
    }
  }

  private Row<P, O> outcome(RowInput input) {
    if (input.error() != null) {
      return failed(input.error());
    }
    try {
      P prepared = task.prepare(input);
      return new Row<>(prepared, Math.max(1, task.cost(prepared)), null);
    } catch (RowException e) {
      return failed(e.error());
    } catch (RuntimeException e) {
      return failed(new RowError("prepare", "prepare_error", e.toString()));
    } catch (OutOfMemoryError e) {
      // One huge row must not fail its partition, again on every executor that tries it.
      return failed(new RowError("prepare", "out_of_memory", e.toString()));
    }
  }

  private Row<P, O> failed(RowError error) {
    return new Row<>(null, 1, error);
  }
}
