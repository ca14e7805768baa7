package io.lakegen.jobs;

import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;

import io.lakegen.spark.CountersAccumulator;
import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.PartitionScorer;
import io.lakegen.spark.RowTask;
import io.lakegen.spark.ScoringPlan;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.DataFrameWriter;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Runs a checked job: counts and spreads the input, scores and writes it, reconciles the counts,
 * commits the manifest.
 */
final class JobRunner {
  private final SparkSession spark;
  private final PrintStream progressOut;
  private final boolean terminal;

  JobRunner(SparkSession spark, PrintStream progressOut, boolean terminal) {
    this.spark = spark;
    this.progressOut = progressOut;
    this.terminal = terminal;
  }

  /**
   * Runs a job to its commit.
   *
   * @throws IOException if the output cannot be written
   * @throws IllegalStateException if the committed output does not hold every input row once;
   *     nothing counts then
   */
  RunSummary run(Job job) throws IOException {
    Instant started = Instant.now();
    long start = System.nanoTime();
    String runId = RunOutput.newRunId();
    Path rows = job.output().rows(runId);
    Partitions partitions = Partitions.of(spark, job.rows(), job.task().minTaskRows());
    CountersAccumulator counters = new CountersAccumulator();
    SparkContext context = spark.sparkContext();
    context.register(counters, Progress.COUNTERS);
    try (Progress progress =
        new Progress(job.name(), partitions.rowCount(), counters, context, progressOut, terminal)) {
      progress.start();
      write(job, runId, job.load().apply(partitions.rows()), counters, rows);
    } catch (RuntimeException e) {
      rows.getFileSystem(context.hadoopConfiguration()).delete(rows, true);
      throw e;
    }
    Map<String, Long> errors = new TreeMap<>();
    long ok = count(rows, job.task().indexColumn(), errors);
    long failed = errors.values().stream().mapToLong(Long::longValue).sum();
    RunSummary summary =
        new RunSummary(
            partitions.rowCount(),
            ok,
            failed,
            0,
            errors,
            (System.nanoTime() - start) / 1e9,
            partitions.slots(),
            counters.value());
    if (!summary.reconciles()) {
      throw new IllegalStateException(
          String.format(
              "run %s holds %d good and %d failed rows (expected: %d in all, as the input has). It is not committed;"
                  + " was the input changed meanwhile?",
              runId, ok, failed, partitions.rowCount()));
    }
    job.export().write(spark, rows);
    job.output().commit(runId, manifest(job, runId, started, summary));
    return summary;
  }

  private void write(
      Job job, String runId, Dataset<Row> rows, CountersAccumulator counters, Path target) {
    JavaRDD<InternalRow> input =
        ((org.apache.spark.sql.classic.Dataset<Row>) rows).queryExecution().toRdd().toJavaRDD();
    JavaRDD<InternalRow> scored =
        score(plan(job, job.task(), runId, rows.schema()), input, counters);
    StructType schema = OutputSchema.of(rows.schema(), job.outputColumns(), job.task().columns());
    Dataset<Row> output = spark.internalCreateDataFrame(scored.rdd(), schema, false);
    DataFrameWriter<Row> writer = output.write().mode(SaveMode.ErrorIfExists);
    for (StructField field : schema.fields()) {
      if (field.dataType().equals(DataTypes.BinaryType)) {
        // Images: Parquet would guess their size from the first hundred and buffer gigabytes.
        writer
            .option("parquet.page.size.row.check.min", "1")
            .option("parquet.block.row.count.limit", "256")
            .option("parquet.enable.dictionary#" + field.name(), "false");
      }
    }
    writer
        // Vectors never repeat: a dictionary over their elements costs time and memory and is
        // thrown away in the end.
        .option("parquet.enable.dictionary#embedding.list.element", "false")
        .parquet(target.toString());
  }

  private static <I, P, O> JavaRDD<InternalRow> score(
      ScoringPlan<I, P, O> plan, JavaRDD<InternalRow> input, CountersAccumulator counters) {
    return input.mapPartitions(new PartitionScorer<>(plan, counters), true);
  }

  private <I, P, O> ScoringPlan<I, P, O> plan(
      Job job, RowTask<I, P, O> task, String runId, StructType schema) {
    int threads = Cluster.threadsPerTask(spark.sparkContext());
    Configuration conf = spark.sparkContext().hadoopConfiguration();
    return new ScoringPlan<>(
        task,
        job.options().model,
        job.pack().spec().source().id(),
        job.pack().sha256(),
        job.pack().spec().engine(),
        job.options().device,
        threads,
        threads,
        job.options().batchBudget == null ? 0 : job.options().batchBudget,
        schema,
        job.keyColumns(),
        job.outputColumns(),
        job.options().seed,
        job.paramsSha256(),
        runId,
        new SerializableConfiguration(conf));
  }

  /**
   * Counts input rows in the committed files: good ones are returned, bad ones go into {@code
   * errors} by stage and type.
   */
  private long count(Path rows, Optional<String> indexColumn, Map<String, Long> errors) {
    Dataset<Row> output = spark.read().parquet(rows.toString());
    if (indexColumn.isPresent()) {
      output = output.where(coalesce(col(indexColumn.get()), lit(0)).equalTo(0));
    }
    long ok = 0;
    for (Row row : output.groupBy(col("error.stage"), col("error.type")).count().collectAsList()) {
      if (row.isNullAt(0)) {
        ok += row.getLong(2);
      } else {
        errors.merge(row.getString(0) + "/" + row.getString(1), row.getLong(2), Long::sum);
      }
    }
    return ok;
  }

  private static Map<String, Object> manifest(
      Job job, String runId, Instant started, RunSummary summary) {
    Map<String, Object> manifest = new LinkedHashMap<>();
    manifest.put("format", 1);
    manifest.put("run_id", runId);
    manifest.put("job", job.name());
    manifest.put("started", started.toString());
    manifest.put("finished", Instant.now().toString());
    manifest.put("input", job.options().input);
    manifest.put("model", job.pack().spec().source().id());
    manifest.put("model_sha256", job.pack().sha256());
    manifest.put("params", job.params());
    manifest.put("params_sha256", job.paramsSha256());
    manifest.put("seed", job.options().seed);
    Map<String, Long> counts = new LinkedHashMap<>();
    counts.put("input", summary.input());
    counts.put("ok", summary.ok());
    counts.put("failed", summary.failed());
    counts.put("skipped", summary.skipped());
    manifest.put("rows", counts);
    manifest.put("errors", new TreeMap<>(summary.errors()));
    manifest.put("seconds", summary.seconds());
    manifest.put("stage_seconds", summary.stageSeconds());
    return manifest;
  }
}
