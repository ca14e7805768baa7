package io.lakegen.jobs.run;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.Versions;
import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.batch.Timeouts;
import io.lakegen.jobs.input.Address;
import io.lakegen.jobs.input.Partitions;
import io.lakegen.jobs.input.Remaining;
import io.lakegen.jobs.run.ChunkTask.Outcome;
import io.lakegen.spark.Cluster;
import io.lakegen.spark.CountersAccumulator;
import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.ScoringPlan;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Runs a checked job, chunk by chunk. Where the last tasks of a chunk leave cores idle, the next
 * chunk begins; so two are under way at times, and what a crash can cost is kept to what {@code
 * --commit-every} says by making each half as large.
 */
final class JobRunner {
  /** Least tasks' worth of rows of a chunk, for each task at once: the first shows the speed. */
  private static final int FIRST_ROWS = 16;

  /** A chunk has at most so many times the rows of the one before. */
  private static final int GROWTH = 8;

  private final SparkSession spark;
  private final PrintStream progressOut;
  private final Job job;
  private final CommitEvery every;
  private final String runId;
  private final List<CountersAccumulator> counters = new CopyOnWriteArrayList<>();
  private final Map<String, Long> errors = new TreeMap<>();
  private long input;
  private long ok;
  private long failed;
  private long skipped;
  private int next;

  JobRunner(SparkSession spark, Job job, PrintStream progressOut) {
    this.spark = spark;
    this.job = job;
    this.progressOut = progressOut;
    this.every = job.spec().get(JobOptions.COMMIT_EVERY);
    List<Commit> pending = job.replaces() ? job.history() : List.of();
    // A run that is to replace others must be one run when it does, crash or not.
    this.runId = pending.isEmpty() ? RunOutput.newRunId() : pending.get(0).runId();
    this.next = pending.stream().mapToInt(Commit::chunk).max().orElse(-1) + 1;
  }

  /**
   * Runs the job to its last commit.
   *
   * @throws IOException if the output cannot be written; chunks that are committed by then count
   * @throws IllegalStateException if a chunk does not hold every input row; it does not count then
   */
  RunSummary run() throws IOException {
    long start = System.nanoTime();
    skipped = job.history().stream().mapToLong(c -> c.counts().input()).sum();
    if (job.spec().get(JobOptions.RETRY_ERRORS)) {
      skipped = 0;
    }
    try (Lease lease = job.output().lease(runId)) {
      if (!job.output().log().isCurrent()) {
        throw new IOException(
            job.output().root() + ": another run has committed to it meanwhile; start again");
      }
      job.output().recover(!job.history().isEmpty());
      if (job.spec().get(JobOptions.RETRY_ERRORS)) {
        retry(lease);
      } else if (job.spec().get(JobOptions.LIMIT) != null) {
        limited(lease);
      } else if (!job.files().left().isEmpty()) {
        chunks(lease);
      }
      if (job.replaces()) {
        job.output().log().append(Commit.replacement(runId, Instant.now().toString()));
        job.output().replace(runId);
      }
      job.output().tidy();
    }
    return new RunSummary(
        skipped + input,
        ok,
        failed,
        skipped,
        errors,
        (System.nanoTime() - start) / 1e9,
        Cluster.concurrentTasks(spark.sparkContext()),
        counted());
  }

  private void limited(Lease lease) throws IOException {
    int rows = job.spec().get(JobOptions.LIMIT);
    Partitions partitions =
        Partitions.first(
            spark, job.reader(), job.schema(), job.files().left(), rows, minTaskRows());
    try (Progress progress = progress(() -> rows)) {
      progress.start();
      run(
          new Chunk(spark, job, runId, next++, List.of()),
          job.inputs().load(partitions.rows()),
          List.of(),
          lease);
    }
  }

  /** Tries the rows of {@code _errors} again. */
  private void retry(Lease lease) throws IOException {
    ErrorChunks errors = ErrorChunks.find(spark, job);
    try (Progress progress = progress(errors::rows)) {
      progress.start();
      for (List<Commit> some : errors.groups()) {
        List<Address> ranges = errors.ranges(some);
        Partitions partitions =
            Partitions.of(spark, job.reader(), job.schema(), ranges, errors.rows(), 1);
        Dataset<Row> rows =
            KeyedRows.only(
                job.inputs().load(partitions.rows()),
                job.keyColumns(),
                errors.errors(some),
                Partitions.wanted(spark));
        run(
            new Chunk(spark, job, runId, next++, List.of()),
            rows,
            some.stream().map(Commit::id).toList(),
            lease);
      }
    }
  }

  /** Counts what the output holds already of the rows that are left. */
  private long findDone(String folder) throws IOException {
    if (job.history().isEmpty()) {
      return 0;
    }
    List<List<Address>> all = Partitions.cut(spark, job.files().left(), job.reader());
    Column isFirst =
        job.spec()
            .task()
            .indexColumn(job.spec().options())
            .map(index -> col(index).equalTo(0))
            .orElse(lit(true));
    return KeyedRows.findDone(
        job.inputs().load(job.reader().rows(job.schema(), all)),
        job.keyColumns(),
        spark.read().parquet(job.output().root().toString()),
        isFirst,
        folder);
  }

  private Progress progress(java.util.function.LongSupplier total) {
    return new Progress(job.name(), total, this::counted, spark.sparkContext(), progressOut);
  }

  /** The sums over all chunks. */
  private Map<Counter, Long> counted() {
    CountersAccumulator all = new CountersAccumulator();
    counters.forEach(all::merge);
    return all.value();
  }

  /** A GPU decodes a batch of many rows in the time of one: there, few rows stay together. */
  private int minTaskRows() throws IOException {
    return Cluster.assignsGpus(spark.sparkContext())
        ? job.spec().task().data().minTaskRows()
        : job.spec().task().minTaskRows(job.spec().options(), job.pack());
  }

  private void chunks(Lease lease) throws IOException {
    boolean skipKeys = job.spec().get(JobOptions.SKIP_KEYS) && !job.history().isEmpty();
    String done = job.output().scratch("done").toString();
    if (skipKeys) {
      skipped += findDone(done);
    }
    Remaining remaining = new Remaining(job.reader(), job.files().left(), skipKeys);
    if (!job.history().isEmpty()) {
      Commit before = job.history().get(job.history().size() - 1);
      remaining.learn(job.output().log().ranges(before), before.counts().input());
    }
    remaining.sample(job.schema());
    ExecutorService drivers = Executors.newFixedThreadPool(2);
    List<Future<?>> underWay = new ArrayList<>();
    long[] taken = {0};
    try (Progress progress = progress(() -> taken[0] + remaining.rows())) {
      progress.start();
      Chunk last = null;
      long rows = firstRows();
      while (!remaining.isEmpty()) {
        if (last != null) {
          last.ending().join();
          rows = nextRows(last, rows);
        }
        while (underWay.size() > 1 || (!underWay.isEmpty() && underWay.get(0).isDone())) {
          await(underWay.remove(0));
        }
        List<Address> ranges = remaining.take(rows);
        long about = remaining.rows(ranges);
        taken[0] += about;
        Chunk chunk = new Chunk(spark, job, runId, next++, ranges);
        underWay.add(
            drivers.submit(
                () -> {
                  try {
                    Partitions partitions =
                        Partitions.of(
                            spark, job.reader(), job.schema(), ranges, about, minTaskRows());
                    Dataset<Row> input = job.inputs().load(partitions.rows());
                    if (skipKeys) {
                      input =
                          KeyedRows.without(
                              input, job.keyColumns(), done, Partitions.wanted(spark));
                    }
                    remaining.learn(ranges, run(chunk, input, List.of(), lease));
                    return null;
                  } finally {
                    chunk.ending().complete(null);
                  }
                }));
        last = chunk;
      }
      while (!underWay.isEmpty()) {
        await(underWay.remove(0));
      }
    } finally {
      // After a failure the other chunk may still come to its end: what is done is done.
      drivers.shutdown();
      for (Future<?> other : underWay) {
        settle(other);
      }
    }
  }

  private long firstRows() throws IOException {
    return every.rows() > 0
        ? Math.max(1, every.rows() / 2)
        : (long) FIRST_ROWS * Cluster.concurrentTasks(spark.sparkContext()) * minTaskRows();
  }

  private long nextRows(Chunk last, long rows) throws IOException {
    if (every.rows() > 0) {
      return Math.max(1, every.rows() / 2);
    }
    double most = (double) rows * GROWTH;
    double perSecond = last.rowsPerSecond();
    // A chunk without rows, of blank lines say, tells nothing of the speed.
    double wanted = perSecond == 0 ? most : perSecond * every.seconds() / 2;
    return Math.max(firstRows(), (long) Math.min(wanted, most));
  }

  private static void await(Future<?> chunk) throws IOException {
    try {
      chunk.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException io) {
        throw io;
      }
      throw e.getCause() instanceof RuntimeException runtime
          ? runtime
          : new IllegalStateException(e.getCause());
    }
  }

  private static void settle(Future<?> chunk) {
    try {
      await(chunk);
    } catch (IOException | RuntimeException e) {
      org.slf4j.LoggerFactory.getLogger(JobRunner.class).warn("another chunk failed too", e);
    }
  }

  /** Runs a chunk to its commit. */
  private long run(Chunk chunk, Dataset<Row> rows, List<String> retries, Lease lease)
      throws IOException {
    Instant started = Instant.now();
    CountersAccumulator counted = new CountersAccumulator();
    spark.sparkContext().register(counted, Progress.COUNTERS);
    counters.add(counted);
    int tasks = Cluster.concurrentTasks(spark.sparkContext());
    List<Outcome> outcomes = chunk.run(rows, tasks, this::plan, counted);
    String files = job.spec().get(JobOptions.FILES);
    if (files != null) {
      String image = job.spec().task().results(job.spec().options()).get(0).name();
      new ImageFileExport(files, image, job.spec().task().indexColumn(job.spec().options()))
          .write(spark, chunk.rows());
    }
    Commit.Work work =
        new Commit.Work(
            Versions.LAKEGEN,
            job.spec().givenOptions(),
            tasks,
            rounded(RunSummary.stageSeconds(counted.value())),
            chunk.pace());
    Commit commit = commit(chunk, started, outcomes, retries, work);
    Commit.Counts counts = Chunk.counts(outcomes);
    synchronized (this) {
      lease.check();
      job.output().log().append(commit);
      job.output().publish(commit);
      job.output().dropErrors(retries);
      input += counts.input();
      ok += counts.ok();
      failed += counts.failed();
      commit.errors().forEach((type, n) -> errors.merge(type, n, Long::sum));
    }
    return counts.input();
  }

  private static double rounded(double seconds) {
    return Double.parseDouble(String.format(Locale.ROOT, "%.3f", seconds));
  }

  private static Map<String, Double> rounded(Map<String, Double> stages) {
    Map<String, Double> rounded = new LinkedHashMap<>();
    stages.forEach((stage, seconds) -> rounded.put(stage, rounded(seconds)));
    return rounded;
  }

  private Commit commit(
      Chunk chunk, Instant started, List<Outcome> outcomes, List<String> retries, Commit.Work work)
      throws IOException {
    Commit.Counts counts = Chunk.counts(outcomes);
    // Rows that are tried again came in with the chunk that had them first.
    long input = retries.isEmpty() ? counts.input() : 0;
    return new Commit(
        Commit.FORMAT,
        false,
        job.replaces(),
        runId,
        chunk.number(),
        started.toString(),
        Instant.now().toString(),
        job.name(),
        job.spec().get(JobOptions.INPUT),
        job.files().format().name(),
        job.spec().get(JobOptions.LIMIT),
        job.pack().spec().source().id(),
        job.pack().sha256(),
        job.params(),
        job.paramsSha256(),
        new ObjectMapper().readTree(job.schema().json()),
        new Commit.Counts(input, counts.ok(), counts.failed(), counts.written()),
        Chunk.errors(outcomes),
        rounded(chunk.seconds()),
        outcomes.stream().flatMap(o -> o.files().stream()).sorted().toList(),
        Commit.covers(chunk.ranges()),
        retries,
        work);
  }

  private ScoringPlan plan(StructType schema) {
    JobSpec spec = job.spec();
    int threads = Cluster.threadsPerTask(spark.sparkContext());
    Configuration conf = spark.sparkContext().hadoopConfiguration();
    Long batchBudget = spec.get(JobOptions.BATCH_BUDGET);
    List<String> passed = new ArrayList<>(job.outputColumns());
    passed.add(OutputSchema.FILE);
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
        passed,
        spec.get(JobOptions.SEED),
        job.paramsSha256(),
        runId,
        new SerializableConfiguration(conf));
  }
}
