package io.lakegen.jobs.input;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.concat;
import static org.apache.spark.sql.functions.encode;
import static org.apache.spark.sql.functions.expr;
import static org.apache.spark.sql.functions.from_json;
import static org.apache.spark.sql.functions.length;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.substring;
import static org.apache.spark.sql.functions.trim;
import static org.apache.spark.sql.functions.when;

import io.lakegen.spark.OutputSchema;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * Reads input files into rows whose string columns hold the files' bytes unchanged, so that bad
 * UTF-8 can be told from good. A line that is no row of its format keeps its place and says why in
 * {@link OutputSchema#READ_ERROR}.
 */
public final class InputReader {
  private static final String CORRUPT = "__lakegen_corrupt";

  private final SparkSession spark;

  /** Reads with a session. */
  public InputReader(SparkSession spark) {
    this.spark = spark;
  }

  /**
   * The rows of the files, in their order.
   *
   * @param textColumn string column that the model reads, and name of the lines of a text file; a
   *     JSON value of another type there is a read error
   */
  public Dataset<Row> read(InputFiles files, String textColumn) {
    String[] paths = files.roots().stream().map(Path::toString).toArray(String[]::new);
    return switch (files.format()) {
      case text ->
          spark
              .read()
              .option("recursiveFileLookup", "true")
              .text(paths)
              .withColumnRenamed("value", textColumn);
      case jsonl -> jsonl(paths, textColumn);
      case csv -> csv(paths);
      case parquet -> spark.read().parquet(paths);
      case image -> images(files);
    };
  }

  /**
   * A row for every file, its content left out: {@link FileContent} adds it when the rows are where
   * they belong.
   */
  private Dataset<Row> images(InputFiles files) {
    List<Row> rows =
        files.files().stream()
            .map(f -> RowFactory.create(f.getPath().toString(), f.getLen()))
            .toList();
    int partitions = Partitions.wanted(spark, rows.size());
    return spark.createDataFrame(
        JavaSparkContext.fromSparkContext(spark.sparkContext()).parallelize(rows, partitions),
        new StructType()
            .add(FileContent.PATH, DataTypes.StringType, false)
            .add("length", DataTypes.LongType, false));
  }

  /** Blank lines are skipped, as in Spark's own JSON source. */
  private Dataset<Row> jsonl(String[] paths, String textColumn) {
    Dataset<Row> lines =
        spark
            .read()
            .option("recursiveFileLookup", "true")
            .text(paths)
            .where(length(trim(col("value"))).gt(0));
    StructType inferred =
        spark
            .read()
            .option("columnNameOfCorruptRecord", CORRUPT)
            .json(lines.as(Encoders.STRING()))
            .schema();
    StructType schema = new StructType();
    boolean checkType = false;
    for (StructField field : inferred.fields()) {
      if (field.name().equals(textColumn) && field.dataType().equals(DataTypes.StringType)) {
        // Spark would silently turn numbers and objects into strings; a variant keeps what the line
        // really holds.
        schema = schema.add(field.name(), DataTypes.VariantType);
        checkType = true;
      } else if (!field.name().equals(CORRUPT)) {
        schema = schema.add(field);
      }
    }
    schema = schema.add(CORRUPT, DataTypes.StringType);
    Column parsed =
        from_json(
            col("value"),
            schema,
            Map.of("mode", "PERMISSIVE", "columnNameOfCorruptRecord", CORRUPT));
    Dataset<Row> rows = lines.select(col("value"), parsed.as("row"));
    Column corrupt = col("row").isNull().or(field(CORRUPT).isNotNull());
    Column error =
        when(
                expr("not is_valid_utf8(value)"),
                error("invalid_utf8", lit("the line is not UTF-8: ")))
            .when(corrupt, error("malformed_json", lit("the line is not a JSON object: ")));
    if (checkType) {
      Column type = expr("schema_of_variant(row." + quoted(textColumn) + ")");
      error =
          error.when(
              type.isNotNull().and(type.notEqual("STRING")).and(type.notEqual("VOID")),
              error(
                  "wrong_type",
                  concat(
                      lit(textColumn + " is "), type, lit(" (expected: STRING) in the line: "))));
    }
    List<Column> columns = new ArrayList<>();
    for (StructField field : schema.fields()) {
      if (field.name().equals(CORRUPT)) {
        continue;
      }
      boolean variant =
          field.dataType().equals(DataTypes.VariantType)
              && field.name().equals(textColumn)
              && checkType;
      columns.add(
          (variant
                  ? expr("try_variant_get(row." + quoted(textColumn) + ", '$', 'string')")
                  : field(field.name()))
              .as(field.name()));
    }
    columns.add(error.as(OutputSchema.READ_ERROR));
    columns.add(when(error.isNotNull(), col("value")).as(OutputSchema.RAW));
    return rows.select(columns.toArray(Column[]::new));
  }

  /**
   * The parser replaces bytes that its charset cannot decode, and Latin-1 decodes them all: read as
   * that, the original bytes are won back. All columns are strings, so that ids such as {@code 007}
   * pass through as they are.
   */
  private Dataset<Row> csv(String[] paths) {
    Map<String, String> options =
        Map.of(
            "header", "true",
            "encoding", "ISO-8859-1",
            "multiLine", "true",
            "escape", "\"",
            "recursiveFileLookup", "true",
            "columnNameOfCorruptRecord", CORRUPT);
    StructType header = spark.read().options(options).csv(paths).schema();
    Dataset<Row> raw =
        spark.read().options(options).schema(header.add(CORRUPT, DataTypes.StringType)).csv(paths);
    Column error =
        when(
            bytes(CORRUPT).isNotNull(),
            error(
                "malformed_csv",
                lit("the row does not have the header's columns: "),
                bytes(CORRUPT)));
    List<Column> columns = new ArrayList<>();
    Arrays.stream(header.fieldNames()).forEach(name -> columns.add(bytes(name).as(utf8(name))));
    columns.add(error.as(OutputSchema.READ_ERROR));
    columns.add(when(error.isNotNull(), bytes(CORRUPT)).as(OutputSchema.RAW));
    return raw.select(columns.toArray(Column[]::new));
  }

  private static Column bytes(String column) {
    return encode(col(quoted(column)), "ISO-8859-1").cast(DataTypes.StringType);
  }

  /** The header went through Latin-1 as well. */
  private static String utf8(String name) {
    return new String(
        name.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1),
        java.nio.charset.StandardCharsets.UTF_8);
  }

  private static Column field(String name) {
    return col("row." + quoted(name));
  }

  private static String quoted(String name) {
    return "`" + name.replace("`", "``") + "`";
  }

  private static Column error(String type, Column message) {
    return error(type, message, col("value"));
  }

  private static Column error(String type, Column message, Column raw) {
    return struct(lit(type).as("type"), concat(message, substring(raw, 1, 200)).as("message"));
  }
}
