package io.lakegen.spark.sql;

import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.spark.RowFormat;
import io.lakegen.spark.RowFormat.KeptRow;
import io.lakegen.spark.ScoredRows;
import io.lakegen.spark.ScoringPlan;
import io.lakegen.spark.sql.CallSpec.OnError;
import io.lakegen.spark.sql.CallSpec.ResultShape;
import io.lakegen.task.RowError;
import io.lakegen.task.RowInput;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.Consumer;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.JoinedRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeProjection;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.execution.metric.SQLMetric;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.util.CollectionAccumulator;
import scala.collection.AbstractIterator;

/**
 * The rows of a partition with the result of a call, in their order. A row with a null for a
 * required input gets a null and costs nothing; rows with equal inputs that are near one another
 * are scored once.
 */
final class CallRows extends AbstractIterator<InternalRow> {
  /**
   * So many rows that need no scoring may stand between two that do. The scorer pulls a window of
   * rows at once, and all that are passed over meanwhile wait in memory.
   */
  private static final int MAX_PASSED_OVER = 16;

  private static final int EXAMPLES = 3;

  private final CallSpec spec;
  private final ScoringPlan plan;
  private final RowFormat format;
  private final scala.collection.Iterator<InternalRow> rows;
  private final UnsafeProjection inputs;
  private final UnsafeProjection output;
  private final SQLMetric outputRows;
  private final Consumer<Map<Counter, Long>> counters;
  private final CollectionAccumulator<String> examples;
  private final int[] required;
  private final int[] ordinals;
  private final DataType[] types;
  private final JoinedRow joined = new JoinedRow();

  /** Rows that were read and not given back yet, in their order. */
  private final ArrayDeque<Entry> entries = new ArrayDeque<>();

  /** Those of them that are being scored, by the key of their inputs. */
  private final Map<String, Entry> underWay = new HashMap<>();

  private ScoredRows<Entry> scored;
  private Entry last;
  private int examplesGiven;

  /** A row that waits for its result. */
  private static final class Entry {
    private final InternalRow row;
    private final KeptRow kept;
    private final boolean isPlace;

    /** The row with the same inputs whose result is this one's too. */
    private Entry same;

    private boolean done;
    private Object result;

    Entry(InternalRow row, KeptRow kept, boolean isPlace) {
      this.row = row;
      this.kept = kept;
      this.isPlace = isPlace;
    }

    boolean isDone() {
      return same == null ? done : same.done;
    }

    Object result() {
      return same == null ? result : same.result;
    }
  }

  CallRows(
      CallSpec spec,
      ScoringPlan plan,
      RowFormat format,
      scala.collection.Iterator<InternalRow> rows,
      UnsafeProjection inputs,
      UnsafeProjection output,
      SQLMetric outputRows,
      Consumer<Map<Counter, Long>> counters,
      CollectionAccumulator<String> examples) {
    this.spec = spec;
    this.plan = plan;
    this.format = format;
    this.rows = rows;
    this.inputs = inputs;
    this.output = output;
    this.outputRows = outputRows;
    this.counters = counters;
    this.examples = examples;
    this.required =
        java.util.stream.IntStream.range(0, spec.arguments().size())
            .filter(i -> spec.arguments().get(i).isRequired())
            .toArray();
    this.ordinals = spec.resultOrdinals();
    StructField[] fields = spec.scoredSchema().fields();
    this.types =
        Arrays.stream(ordinals).mapToObj(i -> fields[i].dataType()).toArray(DataType[]::new);
  }

  @Override
  public boolean hasNext() {
    return !entries.isEmpty() || rows.hasNext();
  }

  @Override
  public InternalRow next() {
    if (!hasNext()) {
      throw new NoSuchElementException("no more rows");
    }
    if (entries.isEmpty()) {
      read();
    }
    while (!entries.peek().isDone()) {
      score();
    }
    Entry entry = entries.poll();
    outputRows.add(1);
    return output.apply(
        joined.apply(entry.row, new GenericInternalRow(new Object[] {entry.result()})));
  }

  /** Reads a row; gives its entry if it needs scoring, else null. */
  private Entry read() {
    InternalRow row = rows.next().copy();
    InternalRow given = inputs.apply(row);
    for (int i : required) {
      if (given.isNullAt(i)) {
        Entry entry = new Entry(row, null, false);
        entry.done = true;
        entries.add(entry);
        return null;
      }
    }
    KeptRow kept = format.read(given);
    Entry entry = new Entry(row, kept, false);
    entries.add(entry);
    entry.same =
        last != null && last.kept.key().equals(kept.key()) ? last : underWay.get(kept.key());
    if (entry.same == null) {
      underWay.put(kept.key(), entry);
      return entry;
    }
    return null;
  }

  private void score() {
    if (scored == null) {
      // The row that waits is the only one, and the first that needs the model.
      try {
        scored =
            new ScoredRows<>(
                plan,
                new ToScore(entries.peek()),
                e -> e.isPlace ? RowInput.PLACE : e.kept.input(),
                e -> e.isPlace ? "" : e.kept.key(),
                counters);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    ScoredRows.Outcome<Entry> outcome = scored.next();
    Entry entry = outcome.row();
    if (entry.isPlace) {
      return;
    }
    entry.result = result(entry, outcome);
    entry.done = true;
    underWay.remove(entry.kept.key());
    last = entry;
  }

  private Object result(Entry entry, ScoredRows.Outcome<Entry> outcome) {
    RowError error = outcome.error();
    if (error != null) {
      String message = error.stage() + ", " + error.type() + ": " + error.message();
      if (spec.onError() == OnError.fail) {
        throw new IllegalStateException(
            spec.definition().function() + " could not do a row: " + message);
      }
      if (examplesGiven++ < EXAMPLES) {
        examples.add(message);
      }
    }
    List<InternalRow> scoredRows = format.write(entry.kept, outcome.values(), error);
    Object value = null;
    if (error == null) {
      value =
          spec.isArray()
              ? new GenericArrayData(scoredRows.stream().map(this::value).toArray())
              : value(scoredRows.get(0));
    }
    return spec.onError() == OnError.struct
        ? new GenericInternalRow(
            new Object[] {
              value, error == null ? null : scoredRows.get(0).getStruct(spec.errorOrdinal(), 3)
            })
        : value;
  }

  private Object value(InternalRow row) {
    Object[] values = new Object[ordinals.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = row.isNullAt(ordinals[i]) ? null : row.get(ordinals[i], types[i]);
    }
    return spec.result() == ResultShape.main ? values[0] : new GenericInternalRow(values);
  }

  /** Pulled by the scorer, on this thread: rows that need scoring, and places. */
  private final class ToScore implements java.util.Iterator<Entry> {
    private Entry next;

    ToScore(Entry first) {
      this.next = first;
    }

    @Override
    public boolean hasNext() {
      for (int i = 0; next == null && rows.hasNext(); i++) {
        next = i == MAX_PASSED_OVER ? new Entry(null, null, true) : read();
      }
      return next != null;
    }

    @Override
    public Entry next() {
      if (!hasNext()) {
        throw new NoSuchElementException("no more rows");
      }
      Entry entry = next;
      next = null;
      return entry;
    }
  }
}
