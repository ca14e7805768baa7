package io.lakegen.batch;

import io.lakegen.batch.BatchRunner.Row;
import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.task.Budget;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * Streams rows through a model, in their order, one outcome for every row.
 *
 * <p>Three things go on at once: the caller's thread reads rows and consumes outcomes, preparation
 * threads make the next window ready, and one thread keeps the device busy with the present one. At
 * most {@value #WINDOWS} windows are in memory. Used by one thread, which closes it.
 *
 * @param <R> the caller's rows
 */
public final class BatchScorer<R, P, O> implements Iterator<Scored<R, O>>, AutoCloseable {
  private static final int WINDOWS = 3;

  private final Iterator<R> rows;
  private final Function<R, RowInput> inputOf;
  private final Task<P, O> task;
  private final ScoringOptions options;
  private final ScoringStats stats;
  private final BatchRunner<P, O> runner;
  private final ExecutorService prepareThreads;
  private final ExecutorService inferThread;
  private final ArrayDeque<Window<R, P, O>> windows = new ArrayDeque<>();
  private int nextWindowRows;
  private Window<R, P, O> current;
  private List<Row<P, O>> outcomes;
  private int position;
  private long returnedAt = -1;

  private record Window<R, P, O>(List<R> rows, Future<Inferred<P, O>> inferred) {}

  /**
   * A window after its run.
   *
   * @param pending whether the next window's run still writes to some of the rows
   */
  private record Inferred<P, O>(List<Row<P, O>> rows, boolean pending) {}

  /**
   * A scorer over {@code rows}, which are pulled on the caller's thread as outcomes are asked for.
   *
   * @param inputOf what the task reads of a row; called more than once
   * @param budget shared by all scorers that use the same model
   */
  public BatchScorer(
      Iterator<R> rows,
      Function<R, RowInput> inputOf,
      Task<P, O> task,
      ScoringOptions options,
      Budget budget,
      ScoringStats stats) {
    this.rows = rows;
    this.inputOf = inputOf;
    this.task = task;
    this.options = options;
    this.stats = stats;
    this.runner = new BatchRunner<>(task, budget, stats);
    this.prepareThreads = threads(options.prepareThreads(), "lakegen-prepare");
    this.inferThread = threads(1, "lakegen-infer");
    // The device should not wait for a whole window to be prepared: the first is small, the next
    // ones grow.
    this.nextWindowRows = Math.max(1, options.windowRows() / 16);
  }

  private static ExecutorService threads(int count, String name) {
    return Executors.newFixedThreadPool(
        count,
        runnable -> {
          Thread thread = new Thread(runnable, name);
          thread.setDaemon(true);
          return thread;
        });
  }

  /**
   * {@inheritDoc}
   *
   * @throws EngineFaultException if the model or its device is broken
   */
  @Override
  public boolean hasNext() {
    if (returnedAt >= 0) {
      stats.add(Counter.writeNanos, System.nanoTime() - returnedAt);
      returnedAt = -1;
    }
    while (current == null || position == current.rows().size()) {
      fill();
      current = windows.poll();
      position = 0;
      if (current == null) {
        return false;
      }
      Inferred<P, O> inferred = await(current.inferred());
      fill();
      // Nobody looks into rows that wait before the run that finds their outcomes has ended: only
      // the end of a run makes what the inference thread wrote visible to this one. Whether any
      // wait is therefore told by the run before, and not read off the rows.
      if (inferred.pending()) {
        await(windows.element().inferred());
      }
      outcomes = inferred.rows();
    }
    return true;
  }

  @Override
  public Scored<R, O> next() {
    if (!hasNext()) {
      throw new NoSuchElementException("no more rows");
    }
    Row<P, O> row = outcomes.get(position);
    Scored<R, O> scored = new Scored<>(current.rows().get(position), row.result, row.error);
    position++;
    returnedAt = System.nanoTime();
    return scored;
  }

  private void fill() {
    while (windows.size() < WINDOWS - 1) {
      List<R> window = readWindow();
      if (window.isEmpty()) {
        return;
      }
      windows.add(submit(window));
    }
  }

  private List<R> readWindow() {
    long start = System.nanoTime();
    List<R> window = new ArrayList<>();
    long bytes = 0;
    while (window.size() < nextWindowRows && bytes < options.windowBytes() && rows.hasNext()) {
      R row = rows.next();
      window.add(row);
      RowInput input = inputOf.apply(row);
      bytes += input.error() == null ? task.inputBytes(input) : 0;
    }
    nextWindowRows = (int) Math.min(options.windowRows(), nextWindowRows * 4L);
    stats.add(Counter.readNanos, System.nanoTime() - start);
    return window;
  }

  private Window<R, P, O> submit(List<R> window) {
    int chunk =
        Math.max(
            1, (window.size() + options.prepareThreads() * 4 - 1) / (options.prepareThreads() * 4));
    List<Future<List<Row<P, O>>>> prepared = new ArrayList<>();
    for (int from = 0; from < window.size(); from += chunk) {
      List<R> part = window.subList(from, Math.min(window.size(), from + chunk));
      prepared.add(prepareThreads.submit(() -> prepare(part)));
    }
    boolean last = !rows.hasNext();
    Future<Inferred<P, O>> inferred =
        inferThread.submit(
            () -> {
              List<Row<P, O>> found = new ArrayList<>(window.size());
              for (Future<List<Row<P, O>>> part : prepared) {
                found.addAll(part.get());
              }
              return new Inferred<>(found, runner.run(found, last));
            });
    return new Window<>(window, inferred);
  }

  private List<Row<P, O>> prepare(List<R> part) {
    long start = System.nanoTime();
    List<Row<P, O>> found = new ArrayList<>(part.size());
    long failed = 0;
    for (R row : part) {
      Row<P, O> prepared = prepare(inputOf.apply(row));
      failed += prepared.error == null ? 0 : 1;
      found.add(prepared);
    }
    stats.add(Counter.rows, failed);
    stats.add(Counter.failed, failed);
    stats.add(Counter.prepareNanos, System.nanoTime() - start);
    return found;
  }

  private Row<P, O> prepare(RowInput input) {
    if (input.error() != null) {
      return new Row<>(null, 1, input.error());
    }
    try {
      P prepared = task.prepare(input);
      return new Row<>(prepared, Math.max(1, task.cost(prepared)), null);
    } catch (RowException e) {
      return new Row<>(null, 1, e.error());
    } catch (RuntimeException e) {
      return new Row<>(null, 1, new RowError("prepare", "prepare_error", e.toString()));
    } catch (OutOfMemoryError e) {
      // One huge row must not fail its partition, again on every executor that tries it.
      return new Row<>(null, 1, new RowError("prepare", "out_of_memory", e.toString()));
    }
  }

  private static <T> T await(Future<T> future) {
    try {
      return future.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException("interrupted while waiting for the model");
    } catch (ExecutionException e) {
      Throwable cause = e.getCause();
      if (cause instanceof EngineFaultException fault) {
        throw fault;
      }
      // What a preparation thread throws comes through the inference thread, wrapped twice.
      Throwable origin = cause instanceof ExecutionException ? cause.getCause() : cause;
      throw new EngineFaultException("scoring failed: " + origin, origin);
    }
  }

  /**
   * Stops the threads; returns when none of them is inside the engine or the task any more. Rows
   * not yet consumed are lost.
   */
  @Override
  public void close() {
    prepareThreads.shutdownNow();
    inferThread.shutdownNow();
    boolean interrupted = false;
    // Tokenizers are native code too: a model must not be closed under a preparation thread either.
    while (!inferThread.isTerminated() || !prepareThreads.isTerminated()) {
      try {
        inferThread.awaitTermination(1, TimeUnit.HOURS);
        prepareThreads.awaitTermination(1, TimeUnit.HOURS);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
