package io.lakegen.jobs.show;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.expr;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.row_number;

import io.lakegen.Tasks;
import io.lakegen.jobs.run.Commit;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.jobs.run.OutputStatus;
import io.lakegen.jobs.run.RunOutput;
import io.lakegen.jobs.show.ShownColumn.Kind;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import io.lakegen.spark.OutputSchema;
import io.lakegen.task.Argument;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.expressions.Window;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.NumericType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * What a job has committed: its rows, its columns by what they mean, and how it was made.
 *
 * <p>Samples are drawn by the rows' keys, which are hashes: so they are random, and the same every
 * time. They come from a few files of the output, so that their cost does not grow with it; a
 * condition is looked for in all.
 */
final class JobOutput {
  /** What tells an input row's output rows apart, where a task has several. */
  static final String INDEX = "__lakegen_index";

  static final String KEY = "__lakegen_key";

  private static final int SAMPLED_FILES = 16;
  private static final String POSITION = "__lakegen_position";

  private final SparkSession spark;
  private final OutputStatus status;
  private final List<Commit> chunks;
  private final String where;
  private final Dataset<Row> good;
  private final Optional<Dataset<Row>> errors;
  private final List<ShownColumn> inputs = new ArrayList<>();
  private final List<ShownColumn> results = new ArrayList<>();
  private final OptionValues options;
  private final Optional<TaskDefinition> task;

  /**
   * @param where an SQL condition on good and error rows; null for all
   * @throws InvalidArgumentsException if it is no output, or the condition none
   */
  @SuppressWarnings("MissingSummary")
  JobOutput(SparkSession spark, String uri, String where) throws IOException {
    this.spark = spark;
    this.where = where;
    RunOutput output = RunOutput.open(uri, spark.sparkContext().hadoopConfiguration());
    this.status = OutputStatus.committed(spark, output);
    this.chunks = output.chunks();
    this.task = Tasks.named(status.job());
    this.options = task.map(this::options).orElse(OptionValues.NONE);
    Dataset<Row> rows = readAll(status.output());
    FileSystem fs = output.root().getFileSystem(spark.sparkContext().hadoopConfiguration());
    Optional<Dataset<Row>> bad =
        fs.exists(output.errors())
            ? Optional.of(readAll(output.errors().toString()))
            : Optional.empty();
    this.good = matching(like(rows, bad, rows));
    this.errors = bad.map(b -> matching(like(b, bad, rows)));
    classify(rows.schema());
  }

  private OptionValues options(TaskDefinition known) {
    Map<String, Object> params = new TreeMap<>(last().params());
    List<Option<?>> all = JobSpec.allOptions(known);
    params.keySet().retainAll(all.stream().map(Option::name).toList());
    return OptionValues.parse(all, params, new Problems());
  }

  private Dataset<Row> readAll(String folder) {
    boolean grown = chunks.stream().map(Commit::schema).distinct().count() > 1;
    return spark.read().option("mergeSchema", grown).parquet(folder);
  }

  /** Rows with all columns that good and error rows have, so that one condition fits both. */
  private static Dataset<Row> like(
      Dataset<Row> rows, Optional<Dataset<Row>> bad, Dataset<Row> good) {
    Map<String, DataType> all = new LinkedHashMap<>();
    Arrays.stream(good.schema().fields()).forEach(f -> all.put(f.name(), f.dataType()));
    StructType error = new StructType();
    for (String field : List.of("stage", "type", "message", "file")) {
      error = error.add(field, DataTypes.StringType);
    }
    all.put(OutputSchema.ERROR, error);
    bad.ifPresent(
        b -> Arrays.stream(b.schema().fields()).forEach(f -> all.put(f.name(), f.dataType())));
    Set<String> there = new LinkedHashSet<>(List.of(rows.columns()));
    Dataset<Row> same = rows;
    for (Map.Entry<String, DataType> column : all.entrySet()) {
      if (!there.contains(column.getKey())) {
        same = same.withColumn(column.getKey(), lit(null).cast(column.getValue()));
      }
    }
    return same;
  }

  private Dataset<Row> matching(Dataset<Row> rows) {
    if (where == null) {
      return rows;
    }
    try {
      return rows.where(where);
    } catch (Exception e) {
      // Spark's AnalysisException and ParseException are checked but not declared.
      Problems problems = new Problems();
      problems.add(
          "where",
          where,
          "a condition in SQL over the columns "
              + List.of(rows.columns())
              + "; "
              + String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
      throw new InvalidArgumentsException(problems.list());
    }
  }

  private void classify(StructType schema) {
    Map<String, Result.Type> ofTask = new HashMap<>();
    task.ifPresent(t -> t.results(options).forEach(r -> ofTask.put(r.name(), r.type())));
    Set<String> images =
        task.stream()
            .flatMap(t -> t.inputs(options).stream())
            .filter(i -> isOfImages(i.kind(), ofTask.keySet(), schema))
            .map(i -> i.column())
            .collect(Collectors.toSet());
    Set<String> read = new LinkedHashSet<>();
    task.ifPresent(t -> t.inputs(options).forEach(i -> read.add(i.column())));
    StructType input =
        last().schema() == null
            ? new StructType()
            : (StructType) DataType.fromJson(last().schema().toString());
    Set<String> own = Set.of(OutputSchema.LINEAGE, OutputSchema.ERROR, "run_id", "chunk");
    for (StructField field : schema.fields()) {
      String name = field.name();
      if (own.contains(name)) {
        continue;
      }
      boolean isInput =
          !ofTask.containsKey(name) && Arrays.asList(input.fieldNames()).contains(name);
      boolean isPassed = isInput || (task.isPresent() && !ofTask.containsKey(name));
      // A file of images has no columns of its own: its rows are named by their paths.
      boolean isImage = images.contains(name) || (isPassed && isPathOfImages(name, images));
      Kind kind = kind(field.dataType(), ofTask.get(name), isImage);
      (isPassed ? inputs : results).add(new ShownColumn(name, kind));
    }
    List<String> first = List.copyOf(read);
    inputs.sort(
        Comparator.comparingInt(
            c -> first.contains(c.name()) ? first.indexOf(c.name()) : first.size()));
    List<String> order =
        task.stream().flatMap(t -> t.results(options).stream()).map(Result::name).toList();
    results.sort(Comparator.comparingInt(c -> order.indexOf(c.name())));
  }

  /** A task that takes both has results for texts that it does not have for images. */
  private static boolean isOfImages(Argument.Kind kind, Set<String> ofTask, StructType schema) {
    return kind == Argument.Kind.IMAGE
        || (kind == Argument.Kind.TEXT_OR_IMAGE
            && !Set.of(schema.fieldNames()).containsAll(ofTask));
  }

  private boolean isPathOfImages(String name, Set<String> images) {
    return name.equals("path") && "image".equals(last().inputFormat()) && !images.isEmpty();
  }

  private static Kind kind(DataType type, Result.Type result, boolean image) {
    if (type instanceof NumericType) {
      return Kind.NUMBER;
    } else if (type.equals(DataTypes.BooleanType)) {
      return Kind.BOOLEAN;
    } else if (type.equals(DataTypes.StringType)) {
      return image ? Kind.PATH : Kind.TEXT;
    } else if (type.equals(DataTypes.BinaryType)) {
      return image || result == Result.Type.IMAGE ? Kind.IMAGE : Kind.OTHER;
    }
    return result == null
        ? Kind.OTHER
        : switch (result) {
          case VECTOR -> Kind.VECTOR;
          case VECTORS -> Kind.VECTORS;
          case IMAGES -> Kind.IMAGES;
          case TEXTS -> Kind.TEXTS;
          default -> Kind.OTHER;
        };
  }

  /** Whether the task reads an input column; others are passed along. */
  boolean isRead(ShownColumn column) {
    return task.stream()
        .flatMap(t -> t.inputs(options).stream())
        .anyMatch(i -> i.column().equals(column.name()));
  }

  OutputStatus status() {
    return status;
  }

  List<Commit> chunks() {
    return chunks;
  }

  Commit last() {
    return chunks.get(chunks.size() - 1);
  }

  SparkSession spark() {
    return spark;
  }

  /** The condition on the rows; empty for all. */
  Optional<String> where() {
    return Optional.ofNullable(where);
  }

  /** Input columns, those that the task read first. */
  List<ShownColumn> inputs() {
    return inputs;
  }

  /** The task's columns, its main result first. */
  List<ShownColumn> results() {
    return results;
  }

  Optional<ShownColumn> result(Kind kind) {
    return results.stream().filter(c -> c.is(kind)).findFirst();
  }

  Dataset<Row> good() {
    return good;
  }

  Optional<Dataset<Row>> errors() {
    return errors;
  }

  /** Rows with {@link #KEY} and {@link #INDEX}, which identify them. */
  Dataset<Row> identified(Dataset<Row> rows) {
    Column index =
        task.flatMap(t -> t.indexColumn(options))
            .filter(i -> List.of(rows.columns()).contains(i))
            .map(i -> expr("coalesce(`" + i + "`, 0)"))
            .orElse(lit(0));
    return rows.withColumn(KEY, col("lineage.key")).withColumn(INDEX, index);
  }

  /** Some good rows, in the order in which they stand in the output. */
  List<Row> sample(int rows) {
    return sample(rows, List.of());
  }

  /**
   * Some good rows.
   *
   * @param columns those that are read; none for all
   */
  List<Row> sample(int rows, List<String> columns) {
    Dataset<Row> some = where == null ? fewFiles() : good;
    Column position = expr("struct(run_id, chunk, _metadata.file_name, _metadata.row_index)");
    // The position is read before anything else is done to the rows, or it would be gone.
    Dataset<Row> placed = some.withColumn(POSITION, position);
    if (!columns.isEmpty()) {
      List<Column> kept = new ArrayList<>(columns.stream().map(c -> col("`" + c + "`")).toList());
      kept.add(col("lineage"));
      kept.add(col(POSITION));
      placed = placed.select(kept.toArray(Column[]::new));
    }
    return placed.orderBy(col("lineage.key")).limit(rows).collectAsList().stream()
        .sorted(Comparator.comparing(r -> r.<Row>getAs(POSITION), JobOutput::byPosition))
        .toList();
  }

  private static int byPosition(Row a, Row b) {
    return Comparator.comparing((Row r) -> String.valueOf(r.get(0)))
        .thenComparing(r -> ((Number) r.get(1)).longValue())
        .thenComparing(r -> r.getString(2))
        .thenComparing(r -> r.getLong(3))
        .compare(a, b);
  }

  private Dataset<Row> fewFiles() {
    List<String> files =
        chunks.stream()
            .flatMap(c -> c.files().stream())
            .filter(f -> f.startsWith("run_id="))
            .map(f -> new Path(status.output(), f).toString())
            .toList();
    if (files.size() <= SAMPLED_FILES) {
      return good;
    }
    List<String> some = new ArrayList<>();
    for (int i = 0; i < SAMPLED_FILES; i++) {
      some.add(files.get((int) ((long) i * files.size() / SAMPLED_FILES)));
    }
    return spark
        .read()
        .option("basePath", status.output())
        .schema(good.drop(OutputSchema.ERROR).schema())
        .parquet(some.toArray(String[]::new));
  }

  /** Some error rows of every type. */
  List<Row> errorSample(int ofEachType) {
    if (errors.isEmpty()) {
      return List.of();
    }
    Dataset<Row> bad = errors.get();
    Column[] small =
        Arrays.stream(bad.schema().fields())
            .filter(f -> !f.dataType().equals(DataTypes.BinaryType))
            .map(f -> col("`" + f.name() + "`"))
            .toArray(Column[]::new);
    return bad.select(small)
        .withColumn(
            POSITION,
            row_number()
                .over(
                    Window.partitionBy(col("error.stage"), col("error.type"))
                        .orderBy(col("lineage.key"))))
        .where(col(POSITION).leq(ofEachType))
        .orderBy(col("error.stage"), col("error.type"), col(POSITION))
        .collectAsList();
  }

  /** Error rows by stage and type, the most frequent first. */
  Map<String, Long> errorTypes() {
    Map<String, Long> types = new LinkedHashMap<>();
    if (where == null) {
      status.errors().forEach(e -> types.put(e.type(), e.rows()));
    } else {
      errors.ifPresent(
          bad ->
              bad.groupBy(col("error.stage"), col("error.type"))
                  .count()
                  .collectAsList()
                  .forEach(r -> types.put(r.getString(0) + "/" + r.getString(1), r.getLong(2))));
    }
    return types.entrySet().stream()
        .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
        .collect(
            Collectors.toMap(
                Map.Entry::getKey, Map.Entry::getValue, (a, b) -> a, LinkedHashMap::new));
  }

  /** The command line that makes the output, with the options that were given. */
  List<String> command() {
    List<String> command = new ArrayList<>(List.of("lakegen", status.job()));
    Commit commit = last();
    Map<String, Object> given = new LinkedHashMap<>();
    commit.input().forEach(i -> command.addAll(List.of("--input", i)));
    if (commit.work() != null) {
      given.putAll(commit.work().options());
      given.remove("input");
    }
    Map<String, Object> defaults =
        new TreeMap<>(
            task.map(t -> OptionValues.NONE.canonical(JobSpec.allOptions(t)))
                .orElseGet(TreeMap::new));
    new TreeMap<>(commit.params())
        .forEach(
            (name, value) -> {
              boolean isDefault = String.valueOf(value).equals(String.valueOf(defaults.get(name)));
              if (!isDefault && !name.equals("task")) {
                given.put(name, value);
              }
            });
    given.forEach(
        (name, value) -> {
          List<?> values = value instanceof List<?> list ? list : List.of(value);
          for (Object one : values) {
            command.add("--" + name);
            if (!Boolean.TRUE.equals(one)) {
              command.add(String.valueOf(one));
            }
          }
        });
    return command;
  }
}
