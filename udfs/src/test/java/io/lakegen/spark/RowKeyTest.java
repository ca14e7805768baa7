package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.util.ArrayBasedMapData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.CalendarInterval;
import org.apache.spark.unsafe.types.UTF8String;
import org.junit.jupiter.api.Test;

class RowKeyTest {
  private static final StructType TWO_TEXTS =
      new StructType().add("a", DataTypes.StringType).add("b", DataTypes.StringType);

  private static UTF8String text(String text) {
    return UTF8String.fromString(text);
  }

  private static String key(StructType schema, Object... values) {
    return new RowKey(schema, Arrays.asList(schema.fieldNames()))
        .of(new GenericInternalRow(values));
  }

  private static String keyOf(DataType type, Object value) {
    return key(new StructType().add("x", type), value);
  }

  /**
   * Resume compares keys of old runs with new ones. The value was computed by Python's hashlib:
   * columns sorted by name, each as name and value, lengths and numbers as 8 bytes little-endian.
   */
  @Test
  void theEncodingNeverChanges() {
    StructType schema =
        new StructType()
            .add("text", DataTypes.StringType)
            .add("data", DataTypes.BinaryType)
            .add("id", DataTypes.LongType);
    String key = key(schema, text("héllo"), new byte[] {1, 2, 3}, 7L);
    assertThat(key).isEqualTo("701f3c8fa0963ecd19808347cef58159");
    assertThat(RowKey.seed(42, key)).isEqualTo(-857798087084605898L);
  }

  @Test
  void theOrderOfColumnsDoesNotMatter() {
    StructType turned =
        new StructType().add("b", DataTypes.StringType).add("a", DataTypes.StringType);
    assertThat(key(turned, text("2"), text("1"))).isEqualTo(key(TWO_TEXTS, text("1"), text("2")));
    assertThat(key(turned, text("1"), text("2")))
        .isNotEqualTo(key(TWO_TEXTS, text("1"), text("2")));
  }

  @Test
  void aKeyDependsOnItsRowOnly() {
    RowKey keys = new RowKey(TWO_TEXTS, List.of("a", "b"));
    InternalRow row = new GenericInternalRow(new Object[] {text("1"), text("2")});
    String first = keys.of(row);
    keys.of(new GenericInternalRow(new Object[] {null, text("other")}));
    assertThat(keys.of(row)).isEqualTo(first);
    assertThat(keys.of(row.copy())).isEqualTo(first);
  }

  @Test
  void onlyNamedColumnsCount() {
    RowKey keys = new RowKey(TWO_TEXTS, List.of("a"));
    assertThat(keys.of(new GenericInternalRow(new Object[] {text("1"), text("2")})))
        .isEqualTo(keys.of(new GenericInternalRow(new Object[] {text("1"), text("3")})))
        .isEqualTo(keyOf(new StructType().add("a", DataTypes.StringType), "a", text("1")));
  }

  private static String keyOf(StructType schema, String column, Object value) {
    return new RowKey(schema, List.of(column)).of(new GenericInternalRow(new Object[] {value}));
  }

  @Test
  void rowsThatDifferHaveDifferentKeys() {
    List<String> keys = new ArrayList<>();
    keys.add(key(TWO_TEXTS, null, null));
    keys.add(key(TWO_TEXTS, text(""), null));
    keys.add(key(TWO_TEXTS, null, text("")));
    keys.add(key(TWO_TEXTS, text(""), text("")));
    keys.add(key(TWO_TEXTS, text("ab"), text("c")));
    keys.add(key(TWO_TEXTS, text("a"), text("bc")));
    keys.add(key(TWO_TEXTS, text("abc"), text("")));
    keys.add(key(TWO_TEXTS, text("a\0"), text("c")));
    keys.add(keyOf(DataTypes.BinaryType, new byte[] {1, 2}));
    keys.add(keyOf(DataTypes.BinaryType, new byte[] {1, 3}));
    keys.add(keyOf(DataTypes.BinaryType, new byte[] {1, 2, 0}));
    keys.add(keyOf(DataTypes.BooleanType, true));
    keys.add(keyOf(DataTypes.BooleanType, false));
    keys.add(keyOf(DataTypes.LongType, 1L));
    keys.add(keyOf(DataTypes.LongType, -1L));
    keys.add(keyOf(DataTypes.DoubleType, 1.0));
    keys.add(keyOf(DataTypes.DoubleType, Double.NaN));
    keys.add(keyOf(DataTypes.FloatType, 1.0f));
    keys.add(keyOf(DataTypes.createDecimalType(5, 2), Decimal.apply(new BigDecimal("1.50"))));
    keys.add(keyOf(DataTypes.createDecimalType(5, 2), Decimal.apply(new BigDecimal("1.51"))));
    keys.add(keyOf(DataTypes.CalendarIntervalType, new CalendarInterval(1, 2, 3)));
    keys.add(keyOf(DataTypes.CalendarIntervalType, new CalendarInterval(1, 3, 2)));
    assertThat(keys).doesNotHaveDuplicates().allMatch(k -> k.matches("[0-9a-f]{32}"));
  }

  @Test
  void nestedValuesCount() {
    DataType strings = DataTypes.createArrayType(DataTypes.StringType);
    DataType nested = DataTypes.createArrayType(strings);
    DataType map = DataTypes.createMapType(DataTypes.StringType, DataTypes.LongType);
    List<String> keys = new ArrayList<>();
    keys.add(keyOf(strings, array()));
    keys.add(keyOf(strings, array((Object) null)));
    keys.add(keyOf(strings, array(text("a"), text("b"))));
    keys.add(keyOf(strings, array(text("b"), text("a"))));
    keys.add(keyOf(nested, array(array(text("a"), text("b")), array())));
    keys.add(keyOf(nested, array(array(text("a")), array(text("b")))));
    keys.add(keyOf(map, new ArrayBasedMapData(array(text("a")), array(1L))));
    keys.add(keyOf(map, new ArrayBasedMapData(array(text("a")), array(2L))));
    keys.add(keyOf(TWO_TEXTS, new GenericInternalRow(new Object[] {text("a"), null})));
    keys.add(keyOf(TWO_TEXTS, new GenericInternalRow(new Object[] {null, text("a")})));
    keys.add(keyOf(TWO_TEXTS, null));
    assertThat(keys).doesNotHaveDuplicates();
    assertThat(keyOf(strings, array(text("a"), text("b")))).isEqualTo(keys.get(2));
  }

  private static GenericArrayData array(Object... values) {
    return new GenericArrayData(values);
  }

  @Test
  void userDefinedTypesAreReadAsWhatTheyAreStoredAs() {
    PairType type = new PairType();
    InternalRow stored = new GenericInternalRow(new Object[] {text("a"), text("b")});
    assertThat(keyOf(type, stored)).isEqualTo(keyOf(TWO_TEXTS, stored));
  }

  /** A type as libraries bring them along: a class of theirs, stored as a struct. */
  private static final class PairType
      extends org.apache.spark.sql.types.UserDefinedType<List<String>> {
    private static final long serialVersionUID = 1L;

    @Override
    public DataType sqlType() {
      return TWO_TEXTS;
    }

    @Override
    public Object serialize(List<String> pair) {
      return new GenericInternalRow(new Object[] {text(pair.get(0)), text(pair.get(1))});
    }

    @Override
    public List<String> deserialize(Object datum) {
      InternalRow row = (InternalRow) datum;
      return List.of(row.getString(0), row.getString(1));
    }

    @Override
    @SuppressWarnings({"unchecked", "rawtypes"})
    public Class<List<String>> userClass() {
      return (Class) List.class;
    }
  }

  @Test
  void unreadBytesCountOnlyWhereThereAreAny() {
    StructType readFromText =
        new StructType()
            .add("a", DataTypes.StringType)
            .add("b", DataTypes.StringType)
            .add(OutputSchema.RAW, DataTypes.BinaryType);
    byte[] line = "{broken".getBytes(StandardCharsets.UTF_8);
    assertThat(key(readFromText, text("1"), text("2"), null))
        .isEqualTo(key(TWO_TEXTS, text("1"), text("2")));
    assertThat(key(readFromText, null, null, line)).isNotEqualTo(key(TWO_TEXTS, null, null));
  }

  @Test
  void seedsDependOnJobAndKey() {
    Set<Long> seeds = new HashSet<>();
    for (long job = -1; job < 3; job++) {
      for (String text : List.of("a", "b", "c")) {
        seeds.add(RowKey.seed(job, keyOf(DataTypes.StringType, text(text))));
      }
    }
    assertThat(seeds).hasSize(12);
  }
}
