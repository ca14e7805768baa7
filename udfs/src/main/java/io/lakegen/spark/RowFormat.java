package io.lakegen.spark;

import io.lakegen.task.Input;
import io.lakegen.task.Result;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Utf8Text;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayBasedMapData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/** Turns input rows into task inputs, and outcomes into output rows. Used by one thread. */
public final class RowFormat {
  private final long jobSeed;
  private final RowKey keys;
  private final StructField[] inputFields;
  private final int[] passedThrough;
  private final List<String> inputNames;
  private final int[] inputOrdinals;
  private final List<Result> results;
  private final int readError;
  private final UTF8String model;
  private final UTF8String modelSha256;
  private final UTF8String paramsSha256;
  private final UTF8String runId;

  /**
   * What is left of an input row: the columns that go to the output, its identity, and what the
   * task reads. Nothing else of the row is kept: a window would hold every picture twice.
   */
  public record KeptRow(Object[] passedThrough, String key, long seed, RowInput input) {}

  /** The format of a plan's rows. */
  public RowFormat(ScoringPlan plan) {
    StructType schema = plan.inputSchema();
    this.jobSeed = plan.jobSeed();
    this.keys = RowKey.of(schema, plan.keyColumns());
    this.inputFields = schema.fields();
    List<String> names = Arrays.asList(schema.fieldNames());
    this.passedThrough = plan.outputColumns().stream().mapToInt(names::indexOf).sorted().toArray();
    this.inputNames = plan.inputs().stream().map(Input::name).toList();
    this.inputOrdinals = plan.inputs().stream().mapToInt(i -> names.indexOf(i.column())).toArray();
    this.results = plan.definition().results(plan.options());
    this.readError = names.indexOf(OutputSchema.READ_ERROR);
    this.model = UTF8String.fromString(plan.modelId());
    this.modelSha256 = UTF8String.fromString(plan.modelSha256());
    this.paramsSha256 = UTF8String.fromString(plan.paramsSha256());
    this.runId = UTF8String.fromString(plan.runId());
  }

  /**
   * Takes what is needed of a row.
   *
   * @param row may be reused by the caller afterwards
   */
  public KeptRow read(InternalRow row) {
    Object[] kept = new Object[passedThrough.length];
    for (int i = 0; i < kept.length; i++) {
      int ordinal = passedThrough[i];
      if (!row.isNullAt(ordinal)) {
        kept[i] =
            readable(InternalRow.copyValue(row.get(ordinal, inputFields[ordinal].dataType())));
      }
    }
    String key = keys.of(row);
    long seed = RowKey.seed(jobSeed, key);
    return new KeptRow(kept, key, seed, input(row, seed));
  }

  private RowInput input(InternalRow row, long seed) {
    if (readError >= 0 && !row.isNullAt(readError)) {
      InternalRow error = row.getStruct(readError, 2);
      return RowInput.unreadable(new RowError("read", error.getString(0), error.getString(1)));
    }
    byte[][] values = new byte[inputOrdinals.length][];
    try {
      for (int i = 0; i < values.length; i++) {
        values[i] = bytes(row, inputOrdinals[i]);
      }
    } catch (RowException e) {
      return RowInput.unreadable(e.error());
    }
    return RowInput.of(inputNames, values, seed);
  }

  private byte[] bytes(InternalRow row, int ordinal) throws RowException {
    if (row.isNullAt(ordinal)) {
      return null;
    }
    Object value = row.get(ordinal, inputFields[ordinal].dataType());
    if (value instanceof UTF8String text) {
      // A window of copies of huge texts would not fit into memory.
      Utf8Text.checkBytes(text.numBytes());
      return text.getBytes();
    }
    if (value instanceof ArrayData array
        && inputFields[ordinal].dataType() instanceof ArrayType type
        && type.elementType() instanceof BinaryType) {
      return RowInput.join(
          IntStream.range(0, array.numElements())
              .mapToObj(i -> array.isNullAt(i) ? null : array.getBinary(i))
              .toList());
    }
    if (value instanceof ArrayData array) {
      return vector(array, ((ArrayType) inputFields[ordinal].dataType()).elementType());
    }
    // Spark's rows give a copy of a binary value.
    return value instanceof byte[] binary
        ? binary
        : value.toString().getBytes(StandardCharsets.UTF_8);
  }

  /** See {@link RowInput#vector}; a null among the numbers is not one. */
  private static byte[] vector(ArrayData array, DataType type) {
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.multiplyExact(Float.BYTES, array.numElements()))
            .order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < array.numElements(); i++) {
      Object number = array.isNullAt(i) ? Float.NaN : array.get(i, type);
      bytes.putFloat(((Number) number).floatValue());
    }
    return bytes.array();
  }

  /**
   * The output rows of an outcome.
   *
   * @param values of the task for each output row; null where there is an error
   */
  public List<InternalRow> write(KeptRow input, List<List<Object>> values, RowError error) {
    if (error != null) {
      InternalRow struct =
          struct(
              UTF8String.fromString(error.stage()),
              UTF8String.fromString(error.type()),
              UTF8String.fromString(error.message()));
      return List.of(row(input, new Object[results.size()], struct));
    }
    List<InternalRow> rows = new ArrayList<>(values.size());
    for (List<Object> row : values) {
      rows.add(row(input, taskColumns(row, rows.size()), null));
    }
    return rows;
  }

  private Object[] taskColumns(List<Object> values, int index) {
    Object[] columns = new Object[results.size()];
    int next = 0;
    for (int i = 0; i < columns.length; i++) {
      columns[i] =
          results.get(i).type() == Result.Type.INDEX ? index : internal(values.get(next++));
    }
    return columns;
  }

  /** Spark's internal form of a value. */
  private static Object internal(Object value) {
    if (value instanceof String text) {
      return UTF8String.fromString(text);
    }
    if (value instanceof float[] vector) {
      return UnsafeArrayData.fromPrimitiveArray(vector);
    }
    if (value instanceof int[] numbers) {
      return UnsafeArrayData.fromPrimitiveArray(numbers);
    }
    if (value instanceof List<?> list) {
      return new GenericArrayData(list.stream().map(RowFormat::internal).toArray());
    }
    if (value instanceof Map<?, ?> scores) {
      return new ArrayBasedMapData(
          new GenericArrayData(scores.keySet().stream().map(RowFormat::internal).toArray()),
          new GenericArrayData(scores.values().toArray()));
    }
    return value;
  }

  private InternalRow row(KeptRow input, Object[] values, InternalRow error) {
    int at = passedThrough.length;
    Object[] all = Arrays.copyOf(input.passedThrough(), at + values.length + 2);
    System.arraycopy(values, 0, all, at, values.length);
    at += values.length;
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
}
