package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import io.lakegen.model.LoadedModel;
import io.lakegen.scoring.Scored;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;
import org.junit.jupiter.api.Test;

class RowFormatTest {
  private static final StructType INPUT =
      new StructType()
          .add("id", DataTypes.LongType)
          .add("data", DataTypes.BinaryType)
          .add("text", DataTypes.StringType)
          .add(
              OutputSchema.READ_ERROR,
              new StructType()
                  .add("type", DataTypes.StringType)
                  .add("message", DataTypes.StringType))
          .add(OutputSchema.RAW, DataTypes.BinaryType);

  /** Writes every result twice, as generation does for two sequences. */
  private record TwiceRows() implements RowTask<String, String, String> {
    private static final long serialVersionUID = 1L;

    @Override
    public StructType columns() {
      return new StructType()
          .add("result", DataTypes.StringType)
          .add("sequence_index", DataTypes.IntegerType);
    }

    @Override
    public String input(InternalRow row, long seed) throws RowException {
      if (row.isNullAt(2)) {
        throw new RowException("read", "null_text", "no text");
      }
      return row.getString(2) + "/" + seed;
    }

    @Override
    public ModelTask<String, String, String> open(LoadedModel model) {
      throw new UnsupportedOperationException("no model here");
    }

    @Override
    public List<Object[]> values(String result) {
      return List.of(
          new Object[] {UTF8String.fromString(result), 0},
          new Object[] {UTF8String.fromString(result), 1});
    }

    @Override
    public int windowRows() {
      return 1;
    }

    @Override
    public long defaultBudget(Device device) {
      return 1;
    }
  }

  private final RowFormat<String, String, String> format =
      new RowFormat<>(
          TestPlans.of(new TwiceRows(), INPUT, List.of("id", "text"), List.of("text", "id")));

  private static InternalRow row(Object... values) {
    return new GenericInternalRow(values);
  }

  private static UTF8String text(String text) {
    return UTF8String.fromString(text);
  }

  @Test
  void readsTheInputWithItsOwnSeed() {
    RowFormat.Input<String> input = format.read(row(7L, new byte[] {1}, text("hello"), null, null));
    String key =
        new RowKey(INPUT, List.of("id", "text")).of(row(7L, null, text("hello"), null, null));
    assertThat(input.key()).isEqualTo(key);
    assertThat(input.seed()).isEqualTo(RowKey.seed(TestPlans.SEED, key));
    assertThat(input.value()).isEqualTo("hello/" + input.seed());
    assertThat(input.error()).isNull();
  }

  @Test
  void writesInputColumnsResultErrorAndLineage() {
    RowFormat.Input<String> input = format.read(row(7L, new byte[] {1}, text("hello"), null, null));

    List<InternalRow> rows = format.write(new Scored<>(input, "RESULT", null));

    assertThat(rows).hasSize(2);
    for (int sequence = 0; sequence < 2; sequence++) {
      InternalRow row = rows.get(sequence);
      // Input columns keep the order of the input.
      assertThat(row.numFields()).isEqualTo(6);
      assertThat(row.getLong(0)).isEqualTo(7);
      assertThat(row.getString(1)).isEqualTo("hello");
      assertThat(row.getString(2)).isEqualTo("RESULT");
      assertThat(row.getInt(3)).isEqualTo(sequence);
      assertThat(row.isNullAt(4)).isTrue();
      InternalRow lineage = row.getStruct(5, 6);
      assertThat(lineage.getString(0)).isEqualTo(input.key());
      assertThat(lineage.getString(1)).isEqualTo("test-model");
      assertThat(lineage.getString(2)).isEqualTo("model-sha");
      assertThat(lineage.getString(3)).isEqualTo("params-sha");
      assertThat(lineage.getLong(4)).isEqualTo(input.seed());
      assertThat(lineage.getString(5)).isEqualTo("run-1");
    }
  }

  @Test
  void theSchemaNamesWhatIsWritten() {
    StructType schema = OutputSchema.of(INPUT, List.of("text", "id"), new TwiceRows().columns());
    assertThat(schema.fieldNames())
        .containsExactly("id", "text", "result", "sequence_index", "error", "lineage");
  }

  @Test
  void anErrorIsOneRowWithoutResults() {
    RowFormat.Input<String> input = format.read(row(null, null, text("x"), null, null));

    List<InternalRow> rows =
        format.write(new Scored<>(input, null, new RowError("infer", "engine_error", "no")));

    assertThat(rows).hasSize(1);
    InternalRow row = rows.get(0);
    assertThat(List.of(row.isNullAt(0), row.isNullAt(2), row.isNullAt(3))).containsOnly(true);
    assertThat(row.getString(1)).isEqualTo("x");
    InternalRow error = row.getStruct(4, 3);
    assertThat(error.getString(0)).isEqualTo("infer");
    assertThat(error.getString(1)).isEqualTo("engine_error");
    assertThat(error.getString(2)).isEqualTo("no");
    assertThat(row.getStruct(5, 6).getString(0)).isEqualTo(input.key());
  }

  @Test
  void rowsThatCouldNotBeReadKeepTheirErrorAndTheirOwnKey() {
    RowFormat.Input<String> first = format.read(unreadable("{a"));
    RowFormat.Input<String> second = format.read(unreadable("{b"));
    assertThat(first.error()).isEqualTo(new RowError("read", "broken_line", "no JSON"));
    assertThat(first.value()).isNull();
    assertThat(first.key()).isNotEqualTo(second.key());
  }

  private static InternalRow unreadable(String line) {
    return row(
        null,
        null,
        null,
        row(text("broken_line"), text("no JSON")),
        line.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void rowsThatTheTaskRefusesKeepItsError() {
    assertThat(format.read(row(1L, null, null, null, null)).error())
        .isEqualTo(new RowError("read", "null_text", "no text"));
  }
}
