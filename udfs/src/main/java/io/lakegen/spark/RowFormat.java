package io.lakegen.spark;

import io.lakegen.scoring.Scored;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * Turns input rows into task inputs, and outcomes into output rows. Used by one thread, but for
 * {@link Adapter}.
 */
final class RowFormat<I, P, O> {
  private final ScoringPlan<I, P, O> plan;
  private final RowKey keys;
  private final StructField[] inputFields;
  private final int[] passedThrough;
  private final int taskColumns;
  private final int readError;
  private final UTF8String model;
  private final UTF8String modelSha256;
  private final UTF8String paramsSha256;
  private final UTF8String runId;

  /**
   * What is left of an input row: the columns that go to the output, its identity, and either the
   * task's input or the reason why there is none. Nothing else of the row is kept: a window would
   * hold every picture twice.
   */
  record Input<I>(Object[] passedThrough, String key, long seed, I value, RowError error) {}

  RowFormat(ScoringPlan<I, P, O> plan) {
    this.plan = plan;
    StructType schema = plan.inputSchema();
    List<String> keyColumns = new ArrayList<>(plan.keyColumns());
    keyColumns.add(OutputSchema.RAW);
    this.keys = new RowKey(schema, keyColumns);
    this.inputFields = schema.fields();
    List<String> names = Arrays.asList(schema.fieldNames());
    this.passedThrough = plan.outputColumns().stream().mapToInt(names::indexOf).sorted().toArray();
    this.taskColumns = plan.task().columns().size();
    this.readError = names.indexOf(OutputSchema.READ_ERROR);
    this.model = UTF8String.fromString(plan.modelId());
    this.modelSha256 = UTF8String.fromString(plan.modelSha256());
    this.paramsSha256 = UTF8String.fromString(plan.paramsSha256());
    this.runId = UTF8String.fromString(plan.runId());
  }

  /**
   * @param row may be reused by the caller afterwards
   */
  Input<I> read(InternalRow row) {
    Object[] kept = new Object[passedThrough.length];
    for (int i = 0; i < kept.length; i++) {
      int ordinal = passedThrough[i];
      if (!row.isNullAt(ordinal)) {
        kept[i] =
            readable(InternalRow.copyValue(row.get(ordinal, inputFields[ordinal].dataType())));
      }
    }
    String key = keys.of(row);
    long seed = RowKey.seed(plan.jobSeed(), key);
    if (readError >= 0 && !row.isNullAt(readError)) {
      InternalRow error = row.getStruct(readError, 2);
      return new Input<>(
          kept, key, seed, null, new RowError("read", error.getString(0), error.getString(1)));
    }
    try {
      return new Input<>(kept, key, seed, plan.task().input(row, seed), null);
    } catch (RowException e) {
      return new Input<>(kept, key, seed, null, e.error());
    }
  }

  List<InternalRow> write(Scored<Input<I>, O> scored) {
    if (scored.error() != null) {
      RowError error = scored.error();
      InternalRow struct =
          struct(
              UTF8String.fromString(error.stage()),
              UTF8String.fromString(error.type()),
              UTF8String.fromString(error.message()));
      return List.of(row(scored.input(), new Object[taskColumns], struct));
    }
    List<InternalRow> rows = new ArrayList<>(1);
    for (Object[] values : plan.task().values(scored.result())) {
      rows.add(row(scored.input(), values, null));
    }
    return rows;
  }

  private InternalRow row(Input<I> input, Object[] values, InternalRow error) {
    int at = passedThrough.length;
    Object[] all = Arrays.copyOf(input.passedThrough(), at + taskColumns + 2);
    System.arraycopy(values, 0, all, at, taskColumns);
    at += taskColumns;
    all[at++] = error;
    all[at] =
        struct(
            UTF8String.fromString(input.key()),
            model,
            modelSha256,
            paramsSha256,
            input.seed(),
            runId);
    return new GenericInternalRow(all);
  }

  /**
   * Parquet's strings are UTF-8; with one that is not, many readers refuse the whole file. The key
   * keeps the true bytes.
   */
  private static Object readable(Object value) {
    return value instanceof UTF8String text && !text.isValid() ? text.makeValid() : value;
  }

  private static InternalRow struct(Object... values) {
    return new GenericInternalRow(values);
  }

  /** Lets the scoring engine see rows as the task's inputs. */
  record Adapter<I, P, O>(ModelTask<I, P, O> task) implements ModelTask<Input<I>, P, O> {
    @Override
    public P prepare(Input<I> input) throws RowException {
      if (input.error() != null) {
        throw new RowException(
            input.error().stage(), input.error().type(), input.error().message());
      }
      return task.prepare(input.value());
    }

    @Override
    public int size(P prepared) {
      return task.size(prepared);
    }

    @Override
    public int cost(P prepared) {
      return task.cost(prepared);
    }

    @Override
    public Object group(P prepared) {
      return task.group(prepared);
    }

    @Override
    public long inputBytes(Input<I> input) {
      return input.error() != null ? 0 : task.inputBytes(input.value());
    }

    @Override
    public Object identity(P prepared) {
      return task.identity(prepared);
    }

    @Override
    public List<O> infer(List<P> batch) {
      return task.infer(batch);
    }

    @Override
    public void check() throws IOException {
      task.check();
    }
  }
}
