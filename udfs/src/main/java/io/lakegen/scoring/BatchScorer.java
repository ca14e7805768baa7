package io.lakegen.scoring;

import io.lakegen.scoring.BatchRunner.Slot;
import io.lakegen.scoring.ScoringStats.Counter;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
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

/**
 * Streams rows through a model, in their order, one outcome for every row.
 *
 * <p>Three things go on at once: the caller's thread reads rows and consumes outcomes, preparation
 * threads make the next window ready, and one thread keeps the device busy with the present one. At
 * most {@value #WINDOWS} windows are in memory. Used by one thread, which closes it.
 */
public final class BatchScorer<I, P, O> implements Iterator<Scored<I, O>>, AutoCloseable {
  private static final int WINDOWS = 3;

  private final Iterator<I> rows;
  private final ModelTask<I, P, O> task;
  private final ScoringOptions options;
  private final ScoringStats stats;
  private final BatchRunner<P, O> runner;
  private final ExecutorService prepareThreads;
  private final ExecutorService inferThread;
  private final ArrayDeque<Window<I, P, O>> windows = new ArrayDeque<>();
  private int nextWindowRows;
  private Window<I, P, O> current;
  private int position;
  private long returnedAt = -1;

  private record Window<I, P, O>(List<I> inputs, Future<List<Slot<P, O>>> outcomes) {}

  /**
   * A scorer over {@code rows}, which are pulled on the caller's thread as outcomes are asked for.
   *
   * @param budget shared by all scorers that use the same model
   */
  public BatchScorer(
      Iterator<I> rows,
      ModelTask<I, P, O> task,
      ScoringOptions options,
      BatchBudget budget,
      ScoringStats stats) {
    this.rows = rows;
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
    while (current == null || position == current.inputs().size()) {
      fill();
      current = windows.poll();
      position = 0;
      if (current == null) {
        return false;
      }
      List<Slot<P, O>> slots = await(current.outcomes());
      fill();
      if (slots.stream().anyMatch(Slot::isPending)) {
        await(windows.element().outcomes());
      }
    }
    return true;
  }

  @Override
  public Scored<I, O> next() {
    if (!hasNext()) {
      throw new NoSuchElementException("no more rows");
    }
    Slot<P, O> slot = await(current.outcomes()).get(position);
    Scored<I, O> scored = new Scored<>(current.inputs().get(position), slot.result, slot.error);
    position++;
    returnedAt = System.nanoTime();
    return scored;
  }

  private void fill() {
    while (windows.size() < WINDOWS - 1) {
      List<I> inputs = readWindow();
      if (inputs.isEmpty()) {
        return;
      }
      windows.add(submit(inputs));
    }
  }

  private List<I> readWindow() {
    long start = System.nanoTime();
    List<I> inputs = new ArrayList<>();
    long bytes = 0;
    while (inputs.size() < nextWindowRows && bytes < options.windowBytes() && rows.hasNext()) {
      I input = rows.next();
      inputs.add(input);
      bytes += task.inputBytes(input);
    }
    nextWindowRows = (int) Math.min(options.windowRows(), nextWindowRows * 4L);
    stats.add(Counter.readNanos, System.nanoTime() - start);
    return inputs;
  }

  private Window<I, P, O> submit(List<I> inputs) {
    int chunk =
        Math.max(
            1, (inputs.size() + options.prepareThreads() * 4 - 1) / (options.prepareThreads() * 4));
    List<Future<List<Slot<P, O>>>> prepared = new ArrayList<>();
    for (int from = 0; from < inputs.size(); from += chunk) {
      List<I> part = inputs.subList(from, Math.min(inputs.size(), from + chunk));
      prepared.add(prepareThreads.submit(() -> prepare(part)));
    }
    boolean last = !rows.hasNext();
    Future<List<Slot<P, O>>> outcomes =
        inferThread.submit(
            () -> {
              List<Slot<P, O>> window = new ArrayList<>(inputs.size());
              for (Future<List<Slot<P, O>>> part : prepared) {
                window.addAll(part.get());
              }
              runner.run(window, last);
              return window;
            });
    return new Window<>(inputs, outcomes);
  }

  private List<Slot<P, O>> prepare(List<I> inputs) {
    long start = System.nanoTime();
    List<Slot<P, O>> slots = new ArrayList<>(inputs.size());
    long failed = 0;
    for (I input : inputs) {
      Slot<P, O> slot = prepare(input);
      failed += slot.error == null ? 0 : 1;
      slots.add(slot);
    }
    stats.add(Counter.rows, failed);
    stats.add(Counter.failed, failed);
    stats.add(Counter.prepareNanos, System.nanoTime() - start);
    return slots;
  }

  private Slot<P, O> prepare(I input) {
    try {
      P prepared = task.prepare(input);
      return new Slot<>(prepared, Math.max(1, task.cost(prepared)), null);
    } catch (RowException e) {
      return new Slot<>(null, 1, e.error());
    } catch (RuntimeException e) {
      return new Slot<>(null, 1, new RowError("prepare", "prepare_error", e.toString()));
    } catch (OutOfMemoryError e) {
      // One huge row must not fail its partition, again on every executor that tries it.
      return new Slot<>(null, 1, new RowError("prepare", "out_of_memory", e.toString()));
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
