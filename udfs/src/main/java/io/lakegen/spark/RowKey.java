package io.lakegen.spark;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.MapData;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.types.UserDefinedType;
import org.apache.spark.unsafe.types.CalendarInterval;
import org.apache.spark.unsafe.types.UTF8String;
import org.apache.spark.unsafe.types.VariantVal;

/**
 * The key of a row: the first 128 bits of SHA-256 over its columns, each as name and value, in the
 * order of their names. So the key does not depend on the order of columns, on partitions or on the
 * machine; a null and an empty value differ. Not thread-safe.
 */
final class RowKey {
  private final MessageDigest digest = sha256();
  private final ByteBuffer scratch = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
  private final List<Column> columns;

  private record Column(int ordinal, DataType type, byte[] name, boolean onlyIfPresent) {}

  /**
   * @param schema the rows' schema
   * @param names columns that make the key
   */
  RowKey(StructType schema, List<String> names) {
    StructField[] fields = schema.fields();
    columns =
        IntStream.range(0, fields.length)
            .filter(i -> names.contains(fields[i].name()))
            .boxed()
            .sorted(Comparator.comparing(i -> fields[i].name()))
            .map(
                i ->
                    new Column(
                        i,
                        fields[i].dataType(),
                        fields[i].name().getBytes(StandardCharsets.UTF_8),
                        fields[i].name().equals(OutputSchema.RAW)))
            .toList();
  }

  /** Keys made of columns, and of the bytes of rows that could not be read. */
  static RowKey of(StructType schema, List<String> keyColumns) {
    List<String> names = new ArrayList<>(keyColumns);
    names.add(OutputSchema.RAW);
    return new RowKey(schema, names);
  }

  /** The key as 32 lower-case hex digits. */
  String of(InternalRow row) {
    for (Column column : columns) {
      if (column.onlyIfPresent() && row.isNullAt(column.ordinal())) {
        continue;
      }
      bytes(column.name());
      value(
          row.isNullAt(column.ordinal()) ? null : row.get(column.ordinal(), column.type()),
          column.type());
    }
    return HexFormat.of().formatHex(digest.digest(), 0, 16);
  }

  /** The seed of a row: 64 bits that depend on the job's seed and the row's key only. */
  static long seed(long jobSeed, String key) {
    MessageDigest digest = sha256();
    digest.update(
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(0, jobSeed));
    digest.update(key.getBytes(StandardCharsets.US_ASCII));
    return ByteBuffer.wrap(digest.digest()).order(ByteOrder.LITTLE_ENDIAN).getLong();
  }

  private void value(Object value, DataType type) {
    if (type instanceof UserDefinedType<?> userDefined) {
      value(value, userDefined.sqlType());
      return;
    }
    if (value == null) {
      digest.update((byte) 0);
      return;
    }
    digest.update((byte) 1);
    if (value instanceof UTF8String text) {
      bytes(text.getBytes());
    } else if (value instanceof byte[] binary) {
      bytes(binary);
    } else if (value instanceof Boolean bool) {
      digest.update((byte) (bool ? 1 : 0));
    } else if (value instanceof Float number) {
      number(Float.floatToIntBits(number));
    } else if (value instanceof Double number) {
      number(Double.doubleToLongBits(number));
    } else if (value instanceof Decimal decimal) {
      bytes(decimal.toJavaBigDecimal().toString().getBytes(StandardCharsets.US_ASCII));
    } else if (value instanceof Number number) {
      number(number.longValue());
    } else if (value instanceof ArrayData array) {
      array(array, ((ArrayType) type).elementType());
    } else if (value instanceof MapData map) {
      array(map.keyArray(), ((MapType) type).keyType());
      array(map.valueArray(), ((MapType) type).valueType());
    } else if (value instanceof InternalRow struct) {
      StructField[] fields = ((StructType) type).fields();
      for (int i = 0; i < fields.length; i++) {
        value(
            struct.isNullAt(i) ? null : struct.get(i, fields[i].dataType()), fields[i].dataType());
      }
    } else if (value instanceof CalendarInterval interval) {
      number(interval.months);
      number(interval.days);
      number(interval.microseconds);
    } else if (value instanceof VariantVal variant) {
      bytes(variant.getValue());
      bytes(variant.getMetadata());
    } else {
      throw new IllegalArgumentException(
          "column type: " + type.simpleString() + " (expected: a type of Parquet)");
    }
  }

  private void array(ArrayData array, DataType elementType) {
    number(array.numElements());
    for (int i = 0; i < array.numElements(); i++) {
      value(array.isNullAt(i) ? null : array.get(i, elementType), elementType);
    }
  }

  /**
   * The length goes first: without it, two neighbouring values could trade bytes and keep the
   * digest.
   */
  private void bytes(byte[] value) {
    number(value.length);
    digest.update(value);
  }

  private void number(long value) {
    digest.update(scratch.putLong(0, value).array());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
