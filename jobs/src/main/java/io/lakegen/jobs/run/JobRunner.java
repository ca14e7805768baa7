package io.lakegen.jobs.run;

import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;

import io.lakegen.batch.Timeouts;
import io.lakegen.jobs.input.Cluster;
import io.lakegen.jobs.input.Partitions;
import io.lakegen.spark.CountersAccumulator;
import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.PartitionScorer;
import io.lakegen.spark.ScoringPlan;
import io.lakegen.task.Result;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
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

  JobRunner(SparkSession spark, PrintStream progressOut) {
    this.spark = spark;
    this.progressOut = progressOut;
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
    TaskDefinition task = job.spec().task();
    Optional<String> indexColumn = task.indexColumn(job.spec().options());
    Partitions partitions = Partitions.of(spark, job.rows(), task.data().minTaskRows());
    CountersAccumulator counters = new CountersAccumulator();
    SparkContext context = spark.sparkContext();
    context.register(counters, Progress.COUNTERS);
    try (Progress progress =
        new Progress(job.name(), partitions.rowCount(), counters, context, progressOut)) {
      progress.start();
      write(job, runId, job.inputs().load(partitions.rows()), counters, rows);
    } catch (RuntimeException e) {
      rows.getFileSystem(context.hadoopConfiguration()).delete(rows, true);
      throw e;
    }
    Map<String, Long> errors = new TreeMap<>();
    long ok = count(rows, indexColumn, errors);
    long failed = errors.values().stream().mapToLong(Long::longValue).sum();
    RunSummary summary =
        new RunSummary(
            partitions.rowCount(),
            ok,
            failed,
            0,
            errors,
            (System.nanoTime() - start) / 1e9,
            partitions.concurrentTasks(),
            counters.value());
    if (!summary.reconciles()) {
      throw new IllegalStateException(
          String.format(
              "run %s holds %d good and %d failed rows (expected: %d in all, as the input has). It is not committed;"
                  + " was the input changed meanwhile?",
              runId, ok, failed, partitions.rowCount()));
    }
    String files = job.spec().get(JobOptions.FILES);
    if (files != null) {
      String image = task.results(job.spec().options()).get(0).name();
      new ImageFileExport(files, image, indexColumn).write(spark, rows);
    }
    job.output().commit(runId, manifest(job, runId, started, summary));
    return summary;
  }

  private void write(
      Job job, String runId, Dataset<Row> rows, CountersAccumulator counters, Path target) {
    JavaRDD<InternalRow> input =
        ((org.apache.spark.sql.classic.Dataset<Row>) rows).queryExecution().toRdd().toJavaRDD();
    JavaRDD<InternalRow> scored =
        input.mapPartitions(new PartitionScorer(plan(job, runId, rows.schema()), counters), true);
    List<Result> results = job.spec().task().results(job.spec().options());
    StructType schema = OutputSchema.of(rows.schema(), job.outputColumns(), results);
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
    for (Result result : results) {
      if (result.type() == Result.Type.VECTOR) {
        // Vectors never repeat: a dictionary over their elements costs time and memory and is
        // thrown away in the end.
        writer.option("parquet.enable.dictionary#" + result.name() + ".list.element", "false");
      }
    }
    writer.parquet(target.toString());
  }

  private ScoringPlan plan(Job job, String runId, StructType schema) {
    JobSpec spec = job.spec();
    int threads = Cluster.threadsPerTask(spark.sparkContext());
    Configuration conf = spark.sparkContext().hadoopConfiguration();
    Long batchBudget = spec.get(JobOptions.BATCH_BUDGET);
    return new ScoringPlan(
        spec.task(),
        spec.options().only(spec.task().data().allOptions()),
        job.inputs().inputs(),
        spec.get(JobOptions.MODEL),
        job.pack().spec().source().id(),
        job.pack().sha256(),
        job.pack().spec().engine(),
        spec.get(JobOptions.DEVICE),
        threads,
        threads,
        batchBudget == null ? 0 : batchBudget,
        new Timeouts(spec.get(JobOptions.BATCH_TIMEOUT), spec.get(JobOptions.ROW_TIMEOUT)),
        schema,
        job.keyColumns(),
        job.outputColumns(),
        spec.get(JobOptions.SEED),
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
    manifest.put("input", job.spec().get(JobOptions.INPUT));
    manifest.put("model", job.pack().spec().source().id());
    manifest.put("model_sha256", job.pack().sha256());
    manifest.put("params", job.params());
    manifest.put("params_sha256", job.paramsSha256());
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
