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

import io.lakegen.problem.Problems;
import io.lakegen.spark.OutputSchema;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.execution.datasources.csv.CSVFileFormat;
import org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat;
import org.apache.spark.sql.execution.datasources.text.TextFileFormat;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.MetadataBuilder;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Reads input files into rows whose string columns hold the files' bytes unchanged, so that bad
 * UTF-8 can be told from good. A line that is no row of its format keeps its place and says why in
 * {@link OutputSchema#READ_ERROR}. Every row has its file in {@link OutputSchema#FILE}.
 */
public final class InputReader {
  private static final String CORRUPT = "__lakegen_corrupt";

  private static final String FOLDER = "lakegen.folder";

  private static final Map<String, String> CSV =
      Map.of(
          "header", "true",
          "encoding", "ISO-8859-1",
          "multiLine", "true",
          "escape", "\"",
          "columnNameOfCorruptRecord", CORRUPT);

  private static final StructType LINE = new StructType().add("value", DataTypes.StringType);

  private final SparkSession spark;
  private final InputFormat format;
  private final String textColumn;
  private final Optional<InputTable> table;

  /**
   * A reader of files of a format.
   *
   * @param textColumn string column that the model reads, and name of the lines of a text file; a
   *     JSON value of another type there is a read error
   * @param table whose files they are
   */
  public InputReader(
      org.apache.spark.sql.SparkSession spark,
      InputFiles files,
      String textColumn,
      Optional<InputTable> table) {
    this.spark = (SparkSession) spark;
    this.format = files.format();
    this.textColumn = textColumn;
    this.table = table;
  }

  Configuration hadoopConfiguration() {
    return spark.sparkContext().hadoopConfiguration();
  }

  InputFormat format() {
    return format;
  }

  /**
   * The columns that files have.
   *
   * @param files whose lines are all looked at, in formats that do not say what they hold
   */
  public StructType schema(List<Address> files) {
    String first = files.get(0).path();
    return switch (format) {
      case text, image -> LINE;
      case tar -> TarSamples.SCHEMA;
      case jsonl ->
          spark
              .read()
              .option("columnNameOfCorruptRecord", CORRUPT)
              .json(
                  lines(Partitions.cut(files, Partitions.wanted(spark), format))
                      .select("value")
                      .as(Encoders.STRING()))
              .schema();
      case csv -> spark.read().options(CSV).csv(first).schema();
      case parquet -> table.map(InputTable::schema).orElseGet(() -> parquetSchema(first));
    };
  }

  /**
   * The columns that files of both kinds have: those of the first stay as they are, further ones
   * follow.
   *
   * @param problems get a Parquet column whose type has changed; a line that does not fit its
   *     column's type is a read error, as everywhere
   */
  public StructType merge(StructType before, StructType now, Problems problems) {
    StructType merged = before;
    for (StructField field : now.fields()) {
      if (!Arrays.asList(before.fieldNames()).contains(field.name())) {
        merged = merged.add(field);
      } else if (format == InputFormat.parquet) {
        DataType known = before.apply(field.name()).dataType();
        if (!known.sameType(field.dataType())) {
          problems.add(
              "input column",
              field.name() + " is " + field.dataType().simpleString() + " in the new files",
              known.simpleString() + ", as in the rows that the output holds, or another output");
        }
      }
    }
    return merged;
  }

  /**
   * The rows of ranges of files, in their order.
   *
   * @param schema see {@link #schema}
   * @param partitions the ranges of every Spark partition
   */
  public Dataset<Row> rows(StructType schema, List<List<Address>> partitions) {
    return switch (format) {
      case text -> lines(partitions).withColumnRenamed("value", textColumn);
      case jsonl -> jsonl(schema, partitions);
      case csv -> csv(schema, partitions);
      case parquet -> parquet(schema, partitions);
      case image -> images(partitions);
      case tar -> samples(partitions);
    };
  }

  /** How many rows every partition has; of Parquet files, only the footers are read. */
  long[] count(StructType schema, List<List<Address>> partitions) {
    Dataset<Row> rows =
        format == InputFormat.parquet
            ? parquet(new StructType(), partitions)
            : rows(schema, partitions);
    return Partitions.counts(rows);
  }

  private Dataset<Row> parquet(StructType schema, List<List<Address>> partitions) {
    StructType data = new StructType();
    Map<String, Column> folders = new LinkedHashMap<>();
    for (StructField field : schema.fields()) {
      if (field.metadata().contains(FOLDER)) {
        folders.put(field.name(), col(quoted(field.name())).cast(field.dataType()));
      } else {
        data = data.add(field);
      }
    }
    return new FileRows(spark, new ParquetFileFormat(), Map.of())
        .rows(partitions, data, List.copyOf(folders.keySet()))
        .withColumns(folders);
  }

  /** Marks a column whose values stand in the names of folders. */
  static StructField ofFolder(StructField field) {
    Metadata folder = new MetadataBuilder().putBoolean(FOLDER, true).build();
    return new StructField(field.name(), field.dataType(), true, folder);
  }

  /** The file's own columns, and those that its folders name, as in {@code date=2026-11-24}. */
  private StructType parquetSchema(String file) {
    StructType schema = spark.read().option("recursiveFileLookup", "true").parquet(file).schema();
    List<String> own = Arrays.asList(schema.fieldNames());
    boolean isOutput = Stream.of(schema.fields()).anyMatch(OutputSchema::isLineage);
    for (String name : FileRows.folders(file).keySet()) {
      // What an earlier job made is in folders by its runs and chunks, which are no data.
      boolean isLayout = isOutput && (name.equals("run_id") || name.equals("chunk"));
      if (!own.contains(name) && !isLayout) {
        schema =
            schema.add(ofFolder(DataTypes.createStructField(name, DataTypes.StringType, true)));
      }
    }
    return schema;
  }

  private Dataset<Row> lines(List<List<Address>> partitions) {
    Dataset<Row> lines =
        new FileRows(spark, new TextFileFormat(), Map.of()).rows(partitions, LINE, List.of());
    // Blank lines are skipped in JSON lines, as in Spark's own JSON source.
    return format == InputFormat.jsonl ? lines.where(length(trim(col("value"))).gt(0)) : lines;
  }

  /**
   * A row for every file, its content left out: {@link FileContent} adds it when the rows are where
   * they belong.
   */
  private Dataset<Row> images(List<List<Address>> partitions) {
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    // A list of partitions is cut into lists of one.
    JavaRDD<Row> rows =
        context
            .parallelize(
                partitions.stream().map(ArrayList::new).toList(), Math.max(1, partitions.size()))
            .flatMap(
                files ->
                    files.stream()
                        .map(f -> RowFactory.create(f.path(), f.length(), f.path()))
                        .iterator());
    return spark.createDataFrame(
        rows,
        new StructType()
            .add(FileContent.PATH, DataTypes.StringType, false)
            .add("length", DataTypes.LongType, false)
            .add(OutputSchema.FILE, DataTypes.StringType, false));
  }

  private Dataset<Row> samples(List<List<Address>> partitions) {
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    SerializableConfiguration conf = new SerializableConfiguration(hadoopConfiguration());
    JavaRDD<InternalRow> rows =
        context
            .parallelize(
                partitions.stream().map(ArrayList::new).toList(), Math.max(1, partitions.size()))
            .flatMap(files -> new TarShards(files.iterator(), conf));
    return spark.internalCreateDataFrame(rows.rdd(), TarSamples.SCHEMA, false);
  }

  private Dataset<Row> jsonl(StructType inferred, List<List<Address>> partitions) {
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
    Dataset<Row> rows =
        lines(partitions).select(col("value"), parsed.as("row"), col(OutputSchema.FILE));
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
    columns.add(col(OutputSchema.FILE));
    return rows.select(columns.toArray(Column[]::new));
  }

  /**
   * The parser replaces bytes that its charset cannot decode, and Latin-1 decodes them all: read as
   * that, the original bytes are won back. All columns are strings, so that ids such as {@code 007}
   * pass through as they are.
   */
  private Dataset<Row> csv(StructType header, List<List<Address>> partitions) {
    Dataset<Row> raw =
        new FileRows(spark, new CSVFileFormat(), CSV)
            .rows(partitions, header.add(CORRUPT, DataTypes.StringType), List.of());
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
    columns.add(col(OutputSchema.FILE));
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
