package io.lakegen.jobs.run;

import io.lakegen.jobs.input.BoundInputs;
import io.lakegen.jobs.input.ColumnChoice;
import io.lakegen.jobs.input.Coverage;
import io.lakegen.jobs.input.InputFiles;
import io.lakegen.jobs.input.InputFormat;
import io.lakegen.jobs.input.InputReader;
import io.lakegen.jobs.input.InputTable;
import io.lakegen.model.Devices;
import io.lakegen.model.ModelPack;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import io.lakegen.spark.Cluster;
import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.PackCheck;
import io.lakegen.task.Input;
import io.lakegen.task.Option;
import io.lakegen.task.Result;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructType;

/**
 * The checks before a job. Each adds what it finds to one list and goes on, so that no mistake
 * hides another: the model, the output and the input are looked at whatever is wrong with the rest.
 */
final class JobChecks {
  private final SparkSession spark;
  private final Configuration conf;
  private final Problems problems;
  private final Optional<InputTable> table;

  /** With the files of the table, where one is asked for. */
  private final JobSpec spec;

  /** As it is with the pack and the input, as soon as they are known. */
  private TaskDefinition task;

  JobChecks(SparkSession spark, JobSpec spec, Problems problems) {
    this.spark = spark;
    this.conf = spark.sparkContext().hadoopConfiguration();
    this.task = spec.task();
    this.problems = problems;
    this.table = table(spec);
    this.spec = table.map(t -> spec.with(JobOptions.INPUT, List.of(t.location()))).orElse(spec);
  }

  private Optional<InputTable> table(JobSpec given) {
    String name = given.get(JobOptions.INPUT_TABLE);
    if (name != null
        && (!given.get(JobOptions.INPUT).isEmpty() || given.get(JobOptions.INPUT_FORMAT) != null)) {
      problems.add(
          JobOptions.INPUT_TABLE.name(), name, "neither --input nor --input-format with it");
    }
    return name == null ? Optional.empty() : InputTable.find(spark, name, problems);
  }

  Job job() {
    task.check(spec.options(), problems);
    Optional<ModelPack> pack = pack();
    Optional<RunOutput> output = required(JobOptions.OUTPUT).flatMap(this::output);
    History history = new History(spec, pack, output);
    history.check(problems);
    Optional<InputFiles> files = files(history.coverage());
    Optional<InputReader> reader = files.map(this::reader);
    Optional<StructType> schema =
        reader.flatMap(r -> schema(r, files.orElseThrow(), history.schema()));
    pack.ifPresent(p -> schema.ifPresent(s -> task = task.with(p.spec(), holdsImages(s, files))));
    Optional<Dataset<Row>> rows = schema.map(s -> reader.orElseThrow().rows(s, List.of()));
    Optional<BoundInputs> inputs =
        rows.map(
            r ->
                BoundInputs.bind(
                    r.schema(),
                    files.orElseThrow(),
                    taskInputs(),
                    new ColumnChoice(
                        spec.get(JobOptions.SELECT), spec.get(JobOptions.DROP), added()),
                    problems));
    problems.throwIfAny();
    StructType loaded = inputs.orElseThrow().load(rows.orElseThrow()).schema();
    return new Job(
        spec.with(task),
        pack.orElseThrow(),
        files.orElseThrow(),
        reader.orElseThrow(),
        schema.orElseThrow(),
        inputs.orElseThrow(),
        keyColumns(loaded),
        inputs
            .orElseThrow()
            .passedThrough(BoundInputs.visible(loaded), spec.get(JobOptions.KEEP_IMAGE), results()),
        output.orElseThrow(),
        history.chunks());
  }

  /** Whether the column of the first argument does, which may be the paths of image files. */
  private boolean holdsImages(StructType schema, Optional<InputFiles> files) {
    String column = spec.get(task.data().arguments().get(0).column());
    int ordinal = List.of(schema.fieldNames()).indexOf(column);
    return ordinal < 0
        ? files.orElseThrow().format() == InputFormat.image
        : BoundInputs.isImage(schema.fields()[ordinal].dataType());
  }

  private List<Input> taskInputs() {
    return task.inputs(spec.options());
  }

  private Optional<String> required(Option<String> option) {
    String value = spec.get(option);
    if (value == null || value.isBlank()) {
      missing(option);
      return Optional.empty();
    }
    return Optional.of(value);
  }

  private void missing(Option<?> option) {
    problems.add(
        option.name(), "missing", option + " or the key " + option.name() + " of --config");
  }

  private Optional<RunOutput> output(String uri) {
    try {
      ObjectStores.check(new Path(uri), spark.conf(), problems);
    } catch (IllegalArgumentException e) {
      // No path at all, which the next check reports.
    }
    return RunOutput.check(uri, conf, problems);
  }

  private Optional<ModelPack> pack() {
    Optional<String> uri = required(JobOptions.MODEL);
    Optional<ModelPack> pack =
        uri.flatMap(u -> PackCheck.fetch(task, spec.options(), u, conf, problems));
    pack.ifPresent(this::checkDevice);
    return pack;
  }

  /**
   * On a cluster only the executors see their GPUs; the driver can tell whether Spark hands any
   * out.
   */
  private void checkDevice(ModelPack pack) {
    if (spec.get(JobOptions.DEVICE) != Devices.Choice.gpu) {
      return;
    }
    if (spark.sparkContext().isLocal()) {
      try {
        Devices.resolve(
            Devices.Choice.gpu,
            List.of(),
            pack.spec().engine(),
            Cluster.threadsPerTask(spark.sparkContext()));
      } catch (InvalidArgumentsException e) {
        e.problems().forEach(p -> problems.add(p.key(), p.found(), p.expected()));
      }
    } else if (!Cluster.assignsGpus(spark.sparkContext())) {
      problems.add(
          JobOptions.DEVICE.name(),
          "gpu",
          "a cluster that assigns GPUs; set spark.task.resource.gpu.amount and"
              + " spark.executor.resource.gpu.amount");
    }
  }

  private Optional<InputFiles> files(Coverage done) {
    List<String> uris = spec.get(JobOptions.INPUT);
    if (uris.isEmpty()) {
      if (!spec.options().has(JobOptions.INPUT_TABLE)) {
        missing(JobOptions.INPUT);
      }
      return Optional.empty();
    }
    InputFormat format =
        table.isPresent() ? InputFormat.parquet : spec.get(JobOptions.INPUT_FORMAT);
    Optional<InputFiles> files = InputFiles.find(uris, format, done, conf, problems);
    table.ifPresent(t -> files.ifPresent(f -> t.check(f.count(), problems)));
    return files;
  }

  private InputReader reader(InputFiles files) {
    String column = spec.get(task.data().arguments().get(0).column());
    return new InputReader(spark, files, column, table);
  }

  /** The columns of what is left, behind those of what is done. */
  private Optional<StructType> schema(
      InputReader reader, InputFiles files, Optional<StructType> before) {
    if (files.left().isEmpty() && before.isPresent()) {
      return before;
    }
    try {
      StructType now = reader.schema(files.left());
      return Optional.of(before.map(b -> reader.merge(b, now, problems)).orElse(now));
    } catch (Exception e) {
      // Spark's AnalysisException is checked but not declared by its readers.
      if (e instanceof InterruptedException) {
        Thread.currentThread().interrupt();
      }
      problems.add(
          JobOptions.INPUT.name(),
          String.join(", ", spec.get(JobOptions.INPUT)),
          "readable as " + files.format() + "; " + e.getMessage());
      return Optional.empty();
    }
  }

  /** The lineage of an earlier job says when a row was made, not what is in it. */
  private static List<String> keyColumns(StructType loaded) {
    return BoundInputs.visible(loaded).stream()
        .filter(name -> !OutputSchema.isLineage(loaded.apply(name)))
        .toList();
  }

  private List<String> results() {
    return task.results(spec.options()).stream().map(Result::name).toList();
  }

  private List<String> added() {
    List<String> added = new ArrayList<>(results());
    added.addAll(List.of(OutputSchema.ERROR, OutputSchema.LINEAGE));
    return added;
  }
}
