package io.lakegen.batch;

import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.model.OutOfMemory;
import io.lakegen.task.Budget;
import io.lakegen.task.RowError;
import io.lakegen.task.Steps;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Infers prepared rows window by window: sorts them by cost, cuts batches that keep to the budget,
 * and finds for every row a result or an error. Used by one thread.
 */
final class BatchRunner<P, O> {
  private static final Logger LOG = LoggerFactory.getLogger(BatchRunner.class);

  /** Rows of a batch that a message names. */
  private static final int MOST_NAMES = 20;

  private final Task<P, O> task;
  private final Budget budget;
  private final ScoringStats stats;
  private final DeviceWatch watch;

  /** Rows of the last window that wait to fill a batch of the next one. */
  private List<Row<P, O>> waiting = List.of();

  /** Rows of a window that go to the model at once where it makes its own batches of them. */
  private int rowsAtOnce = Integer.MAX_VALUE;

  /** A runner before its first window. */
  BatchRunner(Task<P, O> task, Budget budget, ScoringStats stats, DeviceWatch watch) {
    this.task = task;
    this.budget = budget;
    this.stats = stats;
    this.watch = watch;
  }

  /** A prepared row and, later, its outcome. */
  static final class Row<P, O> {
    final P prepared;
    final int cost;

    /** For messages; may be null. */
    String name;

    O result;
    RowError error;
    private boolean waited;

    Row(P prepared, int cost, RowError error) {
      this.prepared = prepared;
      this.cost = cost;
      this.error = error;
    }

    boolean isPending() {
      return result == null && error == null;
    }
  }

  /**
   * Fills in the outcome of every row that has no error yet, those that the window before left
   * pending included. Unless this window is the last, rows that make no full batch stay pending.
   *
   * @return whether rows of this window stay pending
   */
  boolean run(List<Row<P, O>> window, boolean last) {
    List<Row<P, O>> rows = new ArrayList<>(waiting);
    rows.addAll(window);
    Map<Object, Row<P, O>> first = new HashMap<>();
    Map<Row<P, O>, Row<P, O>> twins = new HashMap<>();
    Map<Object, List<Row<P, O>>> groups = new LinkedHashMap<>();
    for (Row<P, O> row : rows) {
      if (row.error == null) {
        Object identity = task.identity(row.prepared);
        Row<P, O> same = identity == null ? null : first.putIfAbsent(identity, row);
        if (same == null) {
          groups.computeIfAbsent(task.group(row.prepared), group -> new ArrayList<>()).add(row);
        } else {
          twins.put(row, same);
        }
      }
    }
    groups.values().forEach(group -> inferInBatches(group, last));
    twins.forEach(
        (row, same) -> {
          row.result = same.result;
          row.error = same.error;
          stats.add(Counter.rows, row.isPending() ? 0 : 1);
          stats.add(Counter.failed, row.error == null ? 0 : 1);
        });
    waiting = window.stream().filter(Row::isPending).toList();
    waiting.forEach(row -> row.waited = true);
    return !waiting.isEmpty();
  }

  private void inferInBatches(List<Row<P, O>> rows, boolean last) {
    // The longest rows go first, so that a batch that does not fit into memory is met early and
    // teaches the rest.
    rows.sort(Comparator.comparingInt((Row<P, O> s) -> s.cost).reversed());
    int[] costs = rows.stream().mapToInt(row -> row.cost).toArray();
    BatchCuts cuts = null;
    for (int from = 0; from < rows.size(); ) {
      long available = budget.current();
      int to;
      boolean full = false;
      if (task.takesWholeWindows()) {
        to = (int) Math.min(rows.size(), (long) from + rowsAtOnce);
      } else {
        if (cuts == null || cuts.budget() != available) {
          cuts = new BatchCuts(costs, from, available);
        }
        to = cuts.end(from);
        full = (to - from + 1L) * costs[from] > available;
      }
      // A row waits once at most: the window it came in waits with it.
      if (to == rows.size()
          && !full
          && !last
          && rows.subList(from, to).stream().noneMatch(row -> row.waited)) {
        return;
      }
      if (infer(rows.subList(from, to), available)) {
        from = to;
      }
    }
  }

  /**
   * Finds the outcome of every row of a batch. Returns false if the batch does not fit into memory:
   * the next cut from the same row is then at most half as large.
   */
  private boolean infer(List<Row<P, O>> batch, long available) {
    stopIfInterrupted();
    try {
      long start = budget.now();
      long size = attempt(batch);
      if (!task.takesWholeWindows()) {
        budget.ran(available, size, budget.now() - start);
      }
      return true;
    } catch (Throwable failure) {
      rethrowIfNoRowIsToBlame(failure);
      if (!OutOfMemory.isCauseOf(failure)) {
        isolate(batch, failure);
        return true;
      }
      stats.add(Counter.outOfMemory, 1);
      long cost = (long) batch.size() * batch.get(0).cost;
      if (batch.size() > 1) {
        if (task.takesWholeWindows()) {
          rowsAtOnce = batch.size() / 2;
        } else {
          budget.exceeded(cost);
        }
        return false;
      }
      // A device that others have filled up has no room for any row: that is no row's fault.
      prove(failure);
      fail(
          batch.get(0),
          "out_of_memory",
          "a single row of size " + cost + " does not fit into memory: " + words(failure));
      return true;
    }
  }

  private static void rethrowIfNoRowIsToBlame(Throwable failure) {
    stopIfInterrupted();
    if (failure instanceof VirtualMachineError error && !(failure instanceof OutOfMemoryError)) {
      throw error;
    }
  }

  /** Without this, a model that answers an interrupt by failing would be tried row by row. */
  private static void stopIfInterrupted() {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException("scoring was stopped");
    }
  }

  /** Fills in the results of a batch, or throws and fills in none. Returns the rows' size. */
  private long attempt(List<Row<P, O>> batch) {
    List<P> prepared = batch.stream().map(s -> s.prepared).toList();
    long start = System.nanoTime();
    List<O> results;
    long[] partial = {0};
    Steps.listen(share -> partial[0] += tell(Math.round(1000 * share * batch.size()), partial[0]));
    watch.enter(batch.size(), (long) batch.size() * batch.get(0).cost, () -> names(batch));
    try {
      results = task.infer(prepared);
    } finally {
      watch.leave();
      Steps.listen(null);
      tell(0, partial[0]);
      stats.add(Counter.inferNanos, System.nanoTime() - start);
    }
    if (results == null || results.size() != batch.size()) {
      throw new IllegalStateException(
          "the model returned "
              + (results == null ? "no" : results.size())
              + " results (expected: "
              + batch.size()
              + ", one a row)");
    }
    long size = 0;
    for (int i = 0; i < results.size(); i++) {
      if (results.get(i) == null) {
        throw new IllegalStateException("the model returned null for a row (expected: a result)");
      }
      size += task.size(prepared.get(i));
    }
    // Only now: a batch that fails half way must leave no results behind, its rows are tried again.
    for (int i = 0; i < results.size(); i++) {
      batch.get(i).result = results.get(i);
    }
    stats.add(Counter.batches, 1);
    stats.add(Counter.size, size);
    stats.add(Counter.padded, (long) batch.size() * batch.get(0).cost);
    stats.add(Counter.rows, batch.size());
    return size;
  }

  private long tell(long now, long before) {
    stats.add(Counter.partialThousandths, now - before);
    return now - before;
  }

  /**
   * Tries every row of a failed batch alone. Rows that fail again are to blame, provided that the
   * model is still sound after the last of them: a row can break the device for all that follow.
   */
  private void isolate(List<Row<P, O>> batch, Throwable failure) {
    LOG.warn("a batch of {} rows failed, trying them one by one", batch.size(), failure);
    Throwable unproven = null;
    for (Row<P, O> row : batch) {
      stopIfInterrupted();
      try {
        attempt(List.of(row));
        unproven = null;
      } catch (Throwable alone) {
        rethrowIfNoRowIsToBlame(alone);
        unproven = alone;
        fail(row, OutOfMemory.isCauseOf(alone) ? "out_of_memory" : "engine_error", words(alone));
      }
    }
    if (unproven != null) {
      prove(unproven);
    }
  }

  private static String names(List<? extends Row<?, ?>> batch) {
    String some =
        batch.stream()
            .limit(MOST_NAMES)
            .map(row -> String.valueOf(row.name))
            .collect(Collectors.joining(", "));
    return "rows "
        + some
        + (batch.size() > MOST_NAMES ? " and " + (batch.size() - MOST_NAMES) + " more" : "");
  }

  private void prove(Throwable failure) {
    watch.enterCheck();
    try {
      task.check();
    } catch (RuntimeException | IOException broken) {
      broken.addSuppressed(failure);
      // Memory may come free again, and a file that cannot be read says nothing of the device.
      throw new EngineFaultException(
          "the model fails on its own golden inputs: " + broken.getMessage(),
          broken,
          broken instanceof RuntimeException && !OutOfMemory.isCauseOf(broken));
    } finally {
      watch.leave();
    }
  }

  private void fail(Row<P, O> row, String type, String message) {
    row.error = new RowError("infer", type, message);
    stats.add(Counter.rows, 1);
    stats.add(Counter.failed, 1);
  }

  /**
   * The innermost message: the engines wrap theirs, and a row's error should not be a page long.
   */
  private static String words(Throwable failure) {
    Throwable cause = failure;
    while (cause.getCause() != null && cause.getCause() != cause) {
      cause = cause.getCause();
    }
    String text =
        cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage().strip();
    return text.length() <= 500 ? text : text.substring(0, 500) + "...";
  }
}
