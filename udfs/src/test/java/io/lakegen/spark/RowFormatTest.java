package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.model.LoadedModel;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.RowError;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
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

  /** Two output rows for every result, as generation has for two sequences. */
  private record Twice() implements TaskDefinition {
    private static final TaskData DATA =
        new TaskData(
            "twice",
            "",
            List.of(),
            List.of(Argument.required("text", Argument.Kind.TEXT, "text")),
            List.of(),
            new Budget.Unit("rows", 1, 1),
            1,
            1);

    @Override
    public TaskData data() {
      return DATA;
    }

    @Override
    public List<Result> results(OptionValues options) {
      return List.of(
          new Result("result", Result.Type.TEXT, ""),
          new Result("sequence_index", Result.Type.INDEX, ""),
          new Result("vector", Result.Type.VECTOR, ""),
          new Result("scores", Result.Type.SCORES, ""),
          new Result("texts", Result.Type.TEXTS, ""),
          new Result("vectors", Result.Type.VECTORS, ""));
    }

    @Override
    public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
      throw new UnsupportedOperationException("no model here");
    }
  }

  private static final List<List<Object>> VALUES =
      Collections.nCopies(
          2,
          List.of(
              "RESULT",
              new float[] {1, 2},
              new TreeMap<>(Map.of("b", 0.25f, "a", 0.75f)),
              List.of("x", "y"),
              List.of(new float[] {3}, new float[] {4, 5})));

  private final RowFormat format =
      new RowFormat(TestPlans.of(new Twice(), INPUT, List.of("id", "text"), List.of("text", "id")));

  private static InternalRow row(Object... values) {
    return new GenericInternalRow(values);
  }

  private static UTF8String text(String text) {
    return UTF8String.fromString(text);
  }

  @Test
  void readsTheInputWithItsOwnSeed() {
    RowFormat.KeptRow input = format.read(row(7L, new byte[] {1}, text("hello"), null, null));
    String key =
        new RowKey(INPUT, List.of("id", "text")).of(row(7L, null, text("hello"), null, null));
    assertThat(input.key()).isEqualTo(key);
    assertThat(input.seed()).isEqualTo(RowKey.seed(TestPlans.SEED, key));
    assertThat(input.input().bytes("text")).asString(StandardCharsets.UTF_8).isEqualTo("hello");
    assertThat(input.input().seed()).isEqualTo(input.seed());
    assertThat(input.input().error()).isNull();
  }

  @Test
  void aHugeTextIsAnErrorBeforeItIsCopied() {
    UTF8String huge = UTF8String.fromBytes(new byte[(4 << 20) + 1]);
    RowInput input = format.read(row(7L, null, huge, null, null)).input();
    assertThat(input.error())
        .isEqualTo(
            new RowError(
                "prepare", "text_too_large", "4194305 bytes of text (expected: at most 4194304)"));
  }

  @Test
  void writesInputColumnsResultErrorAndLineage() {
    RowFormat.KeptRow input = format.read(row(7L, new byte[] {1}, text("hello"), null, null));

    List<InternalRow> rows = format.write(input, VALUES, null);

    assertThat(rows).hasSize(2);
    for (int sequence = 0; sequence < 2; sequence++) {
      InternalRow row = rows.get(sequence);
      // Input columns keep the order of the input.
      assertThat(row.numFields()).isEqualTo(10);
      assertThat(row.getLong(0)).isEqualTo(7);
      assertThat(row.getString(1)).isEqualTo("hello");
      assertThat(row.getString(2)).isEqualTo("RESULT");
      assertThat(row.getInt(3)).isEqualTo(sequence);
      assertThat(row.getArray(4).toFloatArray()).containsExactly(1, 2);
      assertThat(row.getMap(5).keyArray().getUTF8String(0)).hasToString("a");
      assertThat(row.getMap(5).valueArray().toFloatArray()).containsExactly(0.75f, 0.25f);
      assertThat(row.getArray(6).getUTF8String(1)).hasToString("y");
      assertThat(row.getArray(7).getArray(1).toFloatArray()).containsExactly(4, 5);
      assertThat(row.isNullAt(8)).isTrue();
      InternalRow lineage = row.getStruct(9, 6);
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
    StructType schema =
        OutputSchema.of(INPUT, List.of("text", "id"), new Twice().results(OptionValues.NONE));
    assertThat(schema.fieldNames())
        .containsExactly(
            "id",
            "text",
            "result",
            "sequence_index",
            "vector",
            "scores",
            "texts",
            "vectors",
            "error",
            "lineage");
  }

  @Test
  void anErrorIsOneRowWithoutResults() {
    RowFormat.KeptRow input = format.read(row(null, null, text("x"), null, null));

    List<InternalRow> rows =
        format.write(input, List.of(), new RowError("infer", "engine_error", "no"));

    assertThat(rows).hasSize(1);
    InternalRow row = rows.get(0);
    assertThat(List.of(row.isNullAt(0), row.isNullAt(2), row.isNullAt(3))).containsOnly(true);
    assertThat(row.getString(1)).isEqualTo("x");
    InternalRow error = row.getStruct(8, 3);
    assertThat(error.getString(0)).isEqualTo("infer");
    assertThat(error.getString(1)).isEqualTo("engine_error");
    assertThat(error.getString(2)).isEqualTo("no");
    assertThat(row.getStruct(9, 6).getString(0)).isEqualTo(input.key());
  }

  @Test
  void rowsThatCouldNotBeReadKeepTheirErrorAndTheirOwnKey() {
    RowFormat.KeptRow first = format.read(unreadable("{a"));
    RowFormat.KeptRow second = format.read(unreadable("{b"));
    assertThat(first.input().error()).isEqualTo(new RowError("read", "broken_line", "no JSON"));
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
  void aNullIsANullInput() {
    RowInput input = format.read(row(1L, null, null, null, null)).input();
    assertThat(input.has("text")).isTrue();
    assertThat(input.bytes("text")).isNull();
  }
}
