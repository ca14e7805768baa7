package io.lakegen.jobs;

import io.lakegen.model.Devices;
import io.lakegen.model.InvalidPackException;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackSpec;
import io.lakegen.model.PackStore;
import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.RowTask;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructType;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * What all jobs have in common: their options, and the checks that end in a {@link Job} or in one
 * message with every mistake.
 */
abstract class JobCommand {
  @Mixin CommonOptions common = new CommonOptions();
  @Spec CommandSpec commandSpec;

  /** Tasks of {@code pack.json} that the job can use. */
  abstract Set<String> packTasks();

  /**
   * Parameters that shape the results: two runs that agree in them and in the model give the same
   * rows.
   */
  abstract SortedMap<String, Object> params();

  /** Checks the job's own options; called once, whatever else is wrong. */
  abstract void checkOptions(Problems problems);

  /**
   * What to do with a row; problems with the input's columns are reported.
   *
   * @param schema columns of the input
   * @param pack the model
   * @return null if there are problems
   */
  abstract RowTask<?, ?, ?> task(StructType schema, PackSpec pack, Problems problems);

  /**
   * Adds what is too heavy to be moved about, such as the content of files that the rows name.
   *
   * @return null if there are problems
   */
  Dataset<Row> load(Dataset<Row> rows, InputFiles files, Problems problems) {
    return rows;
  }

  /**
   * Input columns that are passed through.
   *
   * @param visible all of them
   */
  List<String> outputColumns(List<String> visible, StructType schema) {
    return visible;
  }

  /** What else is made of the output's rows. */
  RowsExport export() {
    return RowsExport.NONE;
  }

  String name() {
    return commandSpec.name();
  }

  /**
   * Checks everything that can be checked without touching a row.
   *
   * @param problems what is wrong with the command line itself
   * @throws UsageException with those and all further problems
   */
  Job check(SparkSession spark, Problems problems) throws UsageException {
    Configuration conf = spark.sparkContext().hadoopConfiguration();
    checkCommonOptions(problems);
    checkOptions(problems);
    Optional<ModelPack> pack = pack(conf, problems);
    pack.ifPresent(p -> checkDevice(spark, p, problems));
    RunOutput output =
        required("output", common.output, problems)
            ? RunOutput.check(common.output, conf, problems)
            : null;
    Optional<InputFiles> files = Optional.empty();
    if (common.input.isEmpty()) {
      problems.add("input", "missing", "--input or the key input of --config");
    } else {
      files = InputFiles.find(common.input, common.inputFormat, conf, problems);
    }
    Dataset<Row> rows = files.isPresent() ? read(spark, files.get(), problems) : null;
    Dataset<Row> loaded = rows == null ? null : load(rows, files.get(), problems);
    RowTask<?, ?, ?> task = null;
    if (loaded != null && pack.isPresent()) {
      task = task(loaded.schema(), pack.get().spec(), problems);
    }
    List<String> visible = loaded == null ? List.of() : visible(loaded.schema());
    List<String> outputColumns = task == null ? List.of() : outputColumns(visible, loaded.schema());
    if (task != null) {
      checkColumnNames(outputColumns, task, problems);
    }
    if (!problems.isEmpty()) {
      throw new UsageException(problems.messages());
    }
    Dataset<Row> wanted = common.limit == null ? rows : rows.limit(common.limit);
    InputFiles input = files.get();
    return new Job(
        name(),
        common,
        params(),
        task,
        pack.orElseThrow(),
        wanted,
        r -> load(r, input, new Problems()),
        visible,
        outputColumns,
        output,
        export());
  }

  private void checkCommonOptions(Problems problems) {
    if (common.batchBudget != null && common.batchBudget < 1) {
      problems.add("batch-budget", common.batchBudget, "1 or more");
    }
    if (common.limit != null && common.limit < 1) {
      problems.add("limit", common.limit, "1 or more");
    }
    if (!(common.maxErrorRate >= 0 && common.maxErrorRate <= 1)) {
      problems.add("max-error-rate", common.maxErrorRate, "a share from 0 to 1");
    }
  }

  static boolean required(String key, String value, Problems problems) {
    if (value == null || value.isBlank()) {
      problems.add(key, "missing", "--" + key + " or the key " + key + " of --config");
      return false;
    }
    return true;
  }

  private Optional<ModelPack> pack(Configuration conf, Problems problems) {
    if (!required("model", common.model, problems)) {
      return Optional.empty();
    }
    try {
      ModelPack pack = PackStore.ofNode().fetch(common.model, conf);
      if (packTasks().contains(pack.spec().task())) {
        return Optional.of(pack);
      }
      problems.add(
          "model",
          common.model + " is a pack for " + pack.spec().task(),
          "a pack for " + new TreeSet<>(packTasks()));
    } catch (InvalidPackException e) {
      e.problems().forEach(p -> problems.add("model " + common.model + ": " + p));
    } catch (IOException | IllegalArgumentException e) {
      problems.add(
          "model",
          common.model,
          "a readable folder; " + e.getClass().getSimpleName() + ": " + e.getMessage());
    }
    return Optional.empty();
  }

  /**
   * On a cluster only the executors see their GPUs; the driver can tell whether Spark hands any
   * out.
   */
  private void checkDevice(SparkSession spark, ModelPack pack, Problems problems) {
    if (common.device != Devices.Choice.gpu) {
      return;
    }
    if (spark.sparkContext().isLocal()) {
      try {
        Devices.resolve(
            common.device,
            List.of(),
            pack.spec().engine(),
            Cluster.threadsPerTask(spark.sparkContext()));
      } catch (IllegalStateException e) {
        problems.add(e.getMessage());
      }
    } else if (!Cluster.assignsGpus(spark.sparkContext())) {
      problems.add(
          "device",
          "gpu",
          "a cluster that assigns GPUs; set spark.task.resource.gpu.amount and"
              + " spark.executor.resource.gpu.amount");
    }
  }

  private Dataset<Row> read(SparkSession spark, InputFiles files, Problems problems) {
    Partitions.configure(spark);
    try {
      return new InputReader(spark).read(files, common.column);
    } catch (Exception e) {
      // Spark's AnalysisException is checked but not declared by its readers.
      if (e instanceof InterruptedException) {
        Thread.currentThread().interrupt();
      }
      problems.add(
          "input",
          String.join(", ", common.input),
          "readable as " + files.format() + "; " + e.getMessage());
      return null;
    }
  }

  private static List<String> visible(StructType schema) {
    return Stream.of(schema.fieldNames())
        .filter(n -> !n.equals(OutputSchema.READ_ERROR) && !n.equals(OutputSchema.RAW))
        .toList();
  }

  private static void checkColumnNames(
      List<String> passedThrough, RowTask<?, ?, ?> task, Problems problems) {
    List<String> added = new ArrayList<>(Arrays.asList(task.columns().fieldNames()));
    added.addAll(List.of(OutputSchema.ERROR, OutputSchema.LINEAGE));
    for (String name : passedThrough) {
      // Parquet readers, Spark among them, do not tell names apart by case.
      if (added.contains(name.toLowerCase(Locale.ROOT))) {
        problems.add("input column", name, "none of the columns that the job adds: " + added);
      }
    }
  }
}
