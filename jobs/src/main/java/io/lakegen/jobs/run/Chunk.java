package io.lakegen.jobs.run;

import io.lakegen.jobs.input.Address;
import io.lakegen.jobs.run.ChunkTask.Outcome;
import io.lakegen.jobs.run.ChunkTask.Target;
import io.lakegen.spark.CountersAccumulator;
import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.PartitionScorer;
import io.lakegen.spark.ScoringPlan;
import io.lakegen.task.Result;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapreduce.TaskAttemptID;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;
import org.apache.hadoop.mapreduce.task.TaskAttemptContextImpl;
import org.apache.spark.internal.io.FileCommitProtocol;
import org.apache.spark.internal.io.HadoopMapReduceCommitProtocol;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.execution.datasources.OutputWriterFactory;
import org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractFunction2;
import scala.runtime.BoxedUnit;

/** A part of a run: one Spark job, whose files are committed together. */
final class Chunk {
  private final SparkSession spark;
  private final Job job;
  private final String runId;
  private final int number;
  private final List<Address> ranges;
  private final CompletableFuture<Void> ending = new CompletableFuture<>();
  private final List<Outcome> outcomes = new ArrayList<>();
  private final List<Commit.Pace> pace = new ArrayList<>();
  private long start;

  Chunk(SparkSession spark, Job job, String runId, int number, List<Address> ranges) {
    this.spark = spark;
    this.job = job;
    this.runId = runId;
    this.number = number;
    this.ranges = List.copyOf(ranges);
  }

  int number() {
    return number;
  }

  List<Address> ranges() {
    return ranges;
  }

  /** Done when the last of the Spark tasks run, so that cores will soon idle. */
  CompletableFuture<Void> ending() {
    return ending;
  }

  /** Input rows that are done, in a second since the start; 0 as long as none is. */
  synchronized double rowsPerSecond() {
    long rows = outcomes.stream().mapToLong(o -> o.counts().input()).sum();
    return rows / Math.max(1e-3, (System.nanoTime() - start) / 1e9);
  }

  /**
   * Scores and writes the rows; nothing counts yet.
   *
   * @param input with the content of the rows' files
   * @param concurrentTasks Spark tasks that run at once
   * @param plan makes a plan for rows of a schema
   * @return what the tasks have committed
   */
  List<Outcome> run(
      Dataset<Row> input,
      int concurrentTasks,
      java.util.function.Function<StructType, ScoringPlan> plan,
      CountersAccumulator counters)
      throws IOException {
    start = System.nanoTime();
    RDD<InternalRow> rows =
        ((org.apache.spark.sql.classic.Dataset<Row>) input).queryExecution().toRdd();
    ScoringPlan scoring = plan.apply(input.schema());
    List<Result> results = job.spec().task().results(job.spec().options());
    List<String> passed = new ArrayList<>(scoring.outputColumns());
    StructType scored = OutputSchema.of(input.schema(), passed, results);
    Path destination = job.output().destination(runId, number, job.replaces());
    String tracker = runId.replaceAll("[^0-9]", "") + number;
    FileCommitProtocol committer = committer(destination, runId + "-" + number);
    Target good = target(destination, RunOutput.rows(runId, number), goodRows(scored), results);
    Target bad =
        target(destination, RunOutput.errors(runId, number), errorRows(scored, results), List.of());
    org.apache.hadoop.mapreduce.Job hadoop = hadoopJob(good.conf().value(), destination);
    TaskAttemptContextImpl context =
        new TaskAttemptContextImpl(hadoop.getConfiguration(), new TaskAttemptID());
    committer.setupJob(context);
    try {
      int tasks = rows.getNumPartitions();
      ChunkTask task =
          new ChunkTask(
              new PartitionScorer(scoring, counters),
              scored,
              job.spec().task().indexColumn(job.spec().options()).orElse(null),
              committer,
              tracker,
              good,
              bad);
      Collector collector = new Collector(committer, tasks, concurrentTasks);
      ClassTag<byte[]> type = ClassTag$.MODULE$.apply(byte[].class);
      spark.sparkContext().runJob(rows, task, all(tasks), collector, type);
      List<Outcome> done = List.copyOf(outcomes);
      committer.commitJob(context, ChunkTask.seq(done.stream().map(Outcome::commit).toList()));
      verify(destination, done);
      return done;
    } catch (RuntimeException | IOException e) {
      try {
        committer.abortJob(context);
        job.output().discard(runId, number, job.replaces());
      } catch (IOException | RuntimeException second) {
        // What is left is hidden, and removed when the next run starts.
        e.addSuppressed(second);
      }
      throw e;
    } finally {
      ending.complete(null);
    }
  }

  private static scala.collection.immutable.Seq<Object> all(int tasks) {
    List<Object> indices = new ArrayList<>();
    for (int i = 0; i < tasks; i++) {
      indices.add(i);
    }
    return ChunkTask.seq(indices);
  }

  /** Called by Spark's scheduler for every task that is done. */
  private final class Collector extends AbstractFunction2<Object, byte[], BoxedUnit> {
    private final FileCommitProtocol committer;
    private final int tasks;
    private final int concurrentTasks;

    Collector(FileCommitProtocol committer, int tasks, int concurrentTasks) {
      this.committer = committer;
      this.tasks = tasks;
      this.concurrentTasks = concurrentTasks;
    }

    @Override
    public BoxedUnit apply(Object index, byte[] bytes) {
      Outcome outcome = TaskResult.read(bytes, Outcome.class);
      committer.onTaskCommit(outcome.commit());
      synchronized (Chunk.this) {
        outcomes.add(outcome);
        long before = pace.isEmpty() ? 0 : pace.get(pace.size() - 1).rows();
        pace.add(
            new Commit.Pace(Math.round(seconds() * 1000) / 1e3, before + outcome.counts().input()));
        if (outcomes.size() >= Math.max(1, tasks - concurrentTasks)) {
          ending.complete(null);
        }
      }
      return BoxedUnit.UNIT;
    }
  }

  private FileCommitProtocol committer(Path destination, String id) {
    String type =
        RunOutput.isObjectStore(job.output().fileSystem())
            ? "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol"
            : HadoopMapReduceCommitProtocol.class.getName();
    return FileCommitProtocol.instantiate(type, id, destination.toString(), false);
  }

  private org.apache.hadoop.mapreduce.Job hadoopJob(Configuration conf, Path destination)
      throws IOException {
    org.apache.hadoop.mapreduce.Job hadoop = org.apache.hadoop.mapreduce.Job.getInstance(conf);
    hadoop.setOutputKeyClass(Void.class);
    hadoop.setOutputValueClass(InternalRow.class);
    FileOutputFormat.setOutputPath(hadoop, destination);
    return hadoop;
  }

  private static StructType goodRows(StructType scored) {
    return new StructType(
        Arrays.stream(scored.fields())
            .filter(
                f -> !f.name().equals(OutputSchema.ERROR) && !f.name().equals(OutputSchema.FILE))
            .toArray(StructField[]::new));
  }

  private static StructType errorRows(StructType scored, List<Result> results) {
    Set<String> without = new TreeSet<>(results.stream().map(Result::name).toList());
    without.add(OutputSchema.FILE);
    return new StructType(
        Arrays.stream(scored.fields())
            .filter(f -> !without.contains(f.name()))
            .map(f -> f.name().equals(OutputSchema.ERROR) ? located(f) : f)
            .toArray(StructField[]::new));
  }

  private static StructField located(StructField error) {
    StructType type = ((StructType) error.dataType()).add("file", DataTypes.StringType, false);
    return new StructField(error.name(), type, false, error.metadata());
  }

  private Target target(Path destination, String folder, StructType schema, List<Result> results)
      throws IOException {
    Map<String, String> options = new HashMap<>(ObjectStores.writeOptions(destination));
    for (StructField field : schema.fields()) {
      boolean several = field.dataType().equals(ArrayType.apply(DataTypes.BinaryType, false));
      if (several || field.dataType().equals(DataTypes.BinaryType)) {
        // Images: Parquet would guess their size from the first hundred and buffer gigabytes.
        options.put("parquet.page.size.row.check.min", "1");
        options.put("parquet.block.row.count.limit", "256");
        options.put(
            "parquet.enable.dictionary#" + field.name() + (several ? ".list.element" : ""),
            "false");
      }
    }
    for (Result result : results) {
      if (result.type() == Result.Type.VECTOR || result.type() == Result.Type.VECTORS) {
        // Vectors never repeat: a dictionary over their elements costs time and memory and is
        // thrown away in the end.
        String element =
            result.type() == Result.Type.VECTOR ? ".list.element" : ".list.element.list.element";
        options.put("parquet.enable.dictionary#" + result.name() + element, "false");
      }
    }
    scala.collection.immutable.Map<String, String> all =
        scala.collection.immutable.Map$.MODULE$.from(CollectionConverters.asScala(options));
    Configuration conf = spark.sessionState().newHadoopConfWithOptions(all);
    // What a failed task had finished must not be found among the files of the one that took over.
    conf.setInt("mapreduce.fileoutputcommitter.algorithm.version", 1);
    conf.setBoolean("mapreduce.fileoutputcommitter.marksuccessfuljobs", false);
    // By this the S3A committer of the driver finds what those of the tasks have left.
    conf.set("spark.sql.sources.writeJobUUID", runId + "-" + number);
    org.apache.hadoop.mapreduce.Job hadoop = hadoopJob(conf, destination);
    OutputWriterFactory factory = new ParquetFileFormat().prepareWrite(spark, hadoop, all, schema);
    return new Target(
        folder, schema, factory, new SerializableConfiguration(hadoop.getConfiguration()));
  }

  /** Counts must come from what was committed: every file that a task speaks of is there. */
  private void verify(Path destination, List<Outcome> done) throws IOException {
    FileSystem fs = job.output().fileSystem();
    Set<String> expected = new TreeSet<>();
    done.forEach(o -> expected.addAll(o.files()));
    Set<String> found = new TreeSet<>();
    for (String folder : List.of(RunOutput.rows(runId, number), RunOutput.errors(runId, number))) {
      Path path = new Path(destination, folder);
      for (FileStatus file : fs.exists(path) ? fs.listStatus(path) : new FileStatus[0]) {
        if (file.getPath().getName().endsWith(".parquet")) {
          found.add(folder + "/" + file.getPath().getName());
        }
      }
    }
    if (!found.equals(expected)) {
      throw new IllegalStateException(
          "chunk "
              + number
              + " has the files "
              + found
              + " (expected: "
              + expected
              + "). It is not committed");
    }
  }

  /** The sum of what tasks have committed. */
  static Commit.Counts counts(List<Outcome> outcomes) {
    return outcomes.stream().map(Outcome::counts).reduce(Commit.Counts.NONE, Commit.Counts::plus);
  }

  static Map<String, Long> errors(List<Outcome> outcomes) {
    Map<String, Long> errors = new TreeMap<>();
    outcomes.forEach(o -> o.errors().forEach((type, n) -> errors.merge(type, n, Long::sum)));
    return errors;
  }

  /** How far it had come whenever a task ended. */
  synchronized List<Commit.Pace> pace() {
    return List.copyOf(pace);
  }

  double seconds() {
    return (System.nanoTime() - start) / 1e9;
  }

  /** The good rows, before they are published. */
  Path rows() {
    return new Path(
        job.output().destination(runId, number, job.replaces()), RunOutput.rows(runId, number));
  }
}
