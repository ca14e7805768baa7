package io.lakegen.batch;

import io.lakegen.batch.BatchRunner.Row;
import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.model.DeviceUse;
import io.lakegen.task.Budget;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

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
  private static final Logger LOG = LoggerFactory.getLogger(BatchScorer.class);
  private static final int WINDOWS = 3;

  private final Iterator<R> rows;
  private final Function<R, RowInput> inputOf;
  private final Task<P, O> task;
  private final ScoringOptions options;
  private final ScoringStats stats;
  private final DeviceWatch watch;
  private final BatchRunner<P, O> runner;
  private final RowPreparer<R, P, O> preparer;
  private final InferenceThread inferThread = new InferenceThread();
  private final ArrayDeque<Window<R, P, O>> windows = new ArrayDeque<>();
  private int nextWindowRows;
  private Window<R, P, O> current;
  private List<Row<P, O>> outcomes;
  private int position;
  private long returnedAt = -1;
  private EngineFaultException fault;

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
   * @param nameOf how messages name a row, such as by its key; called for every row
   * @param budget shared by all scorers that use the same model
   * @param use shared by all scorers on the same device
   */
  public BatchScorer(
      Iterator<R> rows,
      Function<R, RowInput> inputOf,
      Function<R, String> nameOf,
      Task<P, O> task,
      ScoringOptions options,
      Budget budget,
      DeviceUse use,
      ScoringStats stats) {
    this(rows, inputOf, nameOf, task, options, budget, use, stats, System::nanoTime);
  }

  /** With a clock of the caller's, by which time limits go. */
  BatchScorer(
      Iterator<R> rows,
      Function<R, RowInput> inputOf,
      Function<R, String> nameOf,
      Task<P, O> task,
      ScoringOptions options,
      Budget budget,
      DeviceUse use,
      ScoringStats stats,
      LongSupplier clock) {
    this.rows = rows;
    this.inputOf = inputOf;
    this.task = task;
    this.options = options;
    this.stats = stats;
    this.watch = new DeviceWatch(options.model(), options.timeouts().batch(), use, clock);
    this.runner = new BatchRunner<>(task, budget, stats, watch);
    this.preparer =
        new RowPreparer<>(
            inputOf,
            nameOf,
            task,
            options.prepareThreads(),
            options.timeouts().row(),
            stats,
            clock);
    // The device should not wait for a whole window to be prepared: the first is small, the next
    // ones grow.
    this.nextWindowRows = Math.max(1, options.windowRows() / 16);
  }

  /**
   * {@inheritDoc}
   *
   * @throws EngineFaultException if the model or its device is broken
   * @throws BatchTimeoutException if a batch takes longer than it may
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
    List<RowPreparer<R, P, O>.Part> prepared = new ArrayList<>();
    for (int from = 0; from < window.size(); from += chunk) {
      prepared.add(preparer.prepare(window.subList(from, Math.min(window.size(), from + chunk))));
    }
    boolean last = !rows.hasNext();
    Future<Inferred<P, O>> inferred =
        inferThread.submit(
            () -> {
              List<Row<P, O>> found = new ArrayList<>(window.size());
              for (RowPreparer<R, P, O>.Part part : prepared) {
                found.addAll(part.get());
              }
              return new Inferred<>(found, runner.run(found, last));
            });
    return new Window<>(window, inferred);
  }

  private <T> T await(Future<T> future) {
    while (true) {
      try {
        return future.get(watch.lookMillis(), TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        lookAtDevice();
        if (fault != null) {
          throw fault;
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancellationException("interrupted while waiting for the model");
      } catch (ExecutionException e) {
        fault = fault(e.getCause());
        throw fault;
      }
    }
  }

  private static EngineFaultException fault(Throwable cause) {
    // What a preparation thread throws comes through the inference thread, wrapped twice.
    Throwable origin = cause instanceof ExecutionException ? cause.getCause() : cause;
    return origin instanceof EngineFaultException known
        ? known
        : new EngineFaultException("scoring failed: " + origin, origin);
  }

  private void lookAtDevice() {
    watch.warning().ifPresent(LOG::warn);
    if (fault == null) {
      fault = watch.overdue().orElse(null);
    }
  }

  /** What ended the scoring early; {@link #close} finds out too. */
  public Optional<EngineFaultException> fault() {
    return Optional.ofNullable(fault);
  }

  /**
   * Stops the threads; returns when none of them is inside the engine or the task any more, but for
   * those that hang there for longer than they may: see {@link #whenStopped}. Rows not yet consumed
   * are lost.
   */
  @Override
  public void close() {
    preparer.shutdown();
    inferThread.shutdown();
    boolean interrupted = false;
    CompletableFuture<Void> stopped = stopped();
    while (!stopped.isDone() && !onlyHangingThreadsRun()) {
      try {
        stopped.get(watch.lookMillis(), TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        lookAtDevice();
      } catch (InterruptedException e) {
        interrupted = true;
      } catch (ExecutionException e) {
        throw new IllegalStateException("stopping threads cannot fail", e);
      }
    }
    if (!stopped.isDone()) {
      LOG.warn(
          "{}: a thread hangs in the task and is left behind; the model stays in memory until it"
              + " comes back",
          options.model());
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Does something, such as closing the model, as soon as no thread is inside the engine or the
   * task any more: at once where that is so when {@link #close} has returned, or on the last thread
   * that comes back, or never.
   */
  public void whenStopped(Runnable action) {
    CompletableFuture<Void> unused = stopped().thenRun(action);
  }

  private CompletableFuture<Void> stopped() {
    // Tokenizers are native code too: a model must not be closed under a preparation thread either.
    return CompletableFuture.allOf(inferThread.stopped(), preparer.stopped());
  }

  private boolean onlyHangingThreadsRun() {
    boolean inferenceEnded =
        inferThread.stopped().isDone() || fault instanceof BatchTimeoutException;
    return inferenceEnded && (preparer.stopped().isDone() || preparer.onlyLostThreadsRun());
  }
}
