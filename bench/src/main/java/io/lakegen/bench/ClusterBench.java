package io.lakegen.bench;

import io.lakegen.decode.DecodingOptions;
import io.lakegen.jobs.run.CommitEvery;
import io.lakegen.jobs.run.JobOptions;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.jobs.run.Jobs;
import io.lakegen.jobs.run.RunSummary;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.spark.LakegenPlugin;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.generate.Generate;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.SparkSession;

/**
 * What a second worker of one core adds to one, on a real standalone cluster, and whether a job
 * ends right of which one worker is killed. {@code ./lakegen bench cluster}, on two cores or more.
 *
 * <p>Sides take turns, on a cluster of their own each. Executors have loaded both models and run
 * both jobs on some rows before the clock runs; then it runs from listing the input to the last
 * commit. The driver is not bound to a core: beside two workers of a machine with two cores it
 * takes their time.
 */
public final class ClusterBench {
  private static final int TEXTS = 5500;
  private static final int PROMPTS = 12_000;
  private static final int WARM_ROWS = 128;
  private static final int ROUNDS = 2;
  private static final long START_SECONDS = 120;

  /** Rows between two commits of the run that loses a worker, twice. */
  private static final String OFTEN = "600";

  private final Path folder = Path.of(".lakegen/bench/cluster").toAbsolutePath();
  private final Report report = new Report("cluster");

  /** Rows and seconds by job and number of workers. */
  private final Map<String, double[]> sums = new LinkedHashMap<>();

  private ClusterBench() {}

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    if (Runtime.getRuntime().availableProcessors() < 2) {
      throw new IllegalStateException("processors: 1 (expected: 2, one a worker)");
    }
    new ClusterBench().run(Path.of(".lakegen/bench/texts.jsonl"));
    ExecutorModels.close();
  }

  private void run(Path corpus) throws Exception {
    delete(folder);
    Files.createDirectories(folder);
    List<String> texts = Files.readAllLines(corpus);
    Files.write(folder.resolve("texts.jsonl"), texts.subList(0, TEXTS));
    Files.write(folder.resolve("texts-warm.jsonl"), texts.subList(TEXTS, TEXTS + WARM_ROWS));
    List<String> words = Files.readAllLines(Path.of("sample-data/prompts/words.jsonl"));
    prompts("prompts.jsonl", words, PROMPTS);
    prompts("prompts-warm.jsonl", words, WARM_ROWS);
    for (int round = 0; round < ROUNDS; round++) {
      for (int workers = 1; workers <= 2; workers++) {
        measure(round, workers);
      }
    }
    for (String job : List.of("embed", "generate")) {
      double one = rate(job, 1);
      double two = rate(job, 2);
      report.figure(job + "_one_worker_rows_per_second", one);
      report.figure(job + "_two_workers_rows_per_second", two);
      report.figure(job + "_two_over_one", two / one);
    }
    loseAWorker();
    report.print();
  }

  /** Rows of one word differ in their number, which makes their seeds. */
  private void prompts(String name, List<String> words, int count) throws IOException {
    try (BufferedWriter out = Files.newBufferedWriter(folder.resolve(name))) {
      for (int i = 0; i < count; i++) {
        String word = words.get(i % words.size()).strip();
        out.write("{\"number\":" + i + "," + word.substring(1) + "\n");
      }
    }
  }

  private interface Work {
    void run(SparkSession spark, StandaloneCluster cluster) throws Exception;
  }

  private void onCluster(String name, int workers, Work work) throws Exception {
    try (StandaloneCluster cluster =
        new StandaloneCluster(Files.createDirectory(folder.resolve(name)), workers)) {
      SparkSession spark =
          LocalJob.session(cluster.url())
              .config("spark.driver.host", "127.0.0.1")
              .config("spark.executor.memory", "1g")
              .config("spark.executor.cores", "1")
              .config("spark.task.cpus", "1")
              .config("spark.executorEnv.MALLOC_ARENA_MAX", "2")
              .config("spark.plugins", LakegenPlugin.class.getName())
              .getOrCreate();
      try {
        awaitExecutors(spark, workers);
        work.run(spark, cluster);
      } finally {
        spark.stop();
      }
    }
  }

  private static void awaitExecutors(SparkSession spark, int count) throws InterruptedException {
    long start = System.nanoTime();
    // The driver counts, too.
    while (spark.sparkContext().getExecutorMemoryStatus().size() < count + 1) {
      if (System.nanoTime() - start > START_SECONDS * 1e9) {
        throw new IllegalStateException(
            "no " + count + " executors in " + START_SECONDS + " s; see .lakegen/bench/cluster");
      }
      Thread.sleep(100);
    }
  }

  private void measure(int round, int workers) throws Exception {
    String name = "round" + round + "-workers" + workers;
    onCluster(
        name,
        workers,
        (spark, cluster) -> {
          for (String job : List.of("embed", "generate")) {
            Jobs.run(spark, spec(job, "-warm", name + "/" + job + "-warm"), System.err);
            RunSummary summary = Jobs.run(spark, spec(job, "", name + "/" + job), System.err);
            if (summary.ok() != summary.input() - summary.failed() || summary.ok() == 0) {
              throw new IllegalStateException(name + ": " + summary);
            }
            System.out.println("cluster: " + name + " " + job);
            summary.lines().forEach(line -> System.out.println("  " + line));
            double[] sum = sums.computeIfAbsent(job + workers, key -> new double[2]);
            sum[0] += summary.input();
            sum[1] += summary.seconds();
          }
        });
  }

  private double rate(String job, int workers) {
    double[] sum = sums.get(job + workers);
    return sum[0] / sum[1];
  }

  private JobSpec spec(String job, String kind, String output) {
    JobSpec spec =
        job.equals("embed")
            ? JobSpec.of(new Embed())
                .with(JobOptions.INPUT, List.of(folder + "/texts" + kind + ".jsonl"))
                .with(JobOptions.MODEL, absolute("jobs/target/packs/all-MiniLM-L6-v2"))
            : JobSpec.of(new Generate())
                .with(JobOptions.INPUT, List.of(folder + "/prompts" + kind + ".jsonl"))
                .with(JobOptions.MODEL, absolute("sample-data/models/definitions-gpt2"))
                .with(Generate.TEMPLATE, "{word}:")
                .with(DecodingOptions.DO_SAMPLE, true)
                .with(DecodingOptions.MAX_NEW_TOKENS, 40);
    return spec.with(JobOptions.OUTPUT, folder.resolve(output).toString());
  }

  private static String absolute(String path) {
    return Path.of(path).toAbsolutePath().toString();
  }

  /** One of two workers and its executor are killed after the first commits. */
  private void loseAWorker() throws Exception {
    onCluster(
        "killed",
        2,
        (spark, cluster) -> {
          JobSpec spec =
              spec("embed", "", "killed/embed")
                  .with(JobOptions.COMMIT_EVERY, CommitEvery.parse(OFTEN));
          ExecutorService driver = Executors.newSingleThreadExecutor();
          try {
            Future<RunSummary> run = driver.submit(() -> Jobs.run(spark, spec, System.err));
            Path log = folder.resolve("killed/embed/_lakegen/commits");
            while (!run.isDone() && commits(log) < 2) {
              Thread.sleep(20);
            }
            if (run.isDone()) {
              throw new IllegalStateException("the job ended before the worker was killed");
            }
            cluster.kill(1);
            RunSummary summary = run.get();
            report.figure("killed_rows_per_second", summary.input() / summary.seconds());
          } finally {
            driver.shutdownNow();
          }
          List<String> expected = rows(spark, "round0-workers2/embed");
          List<String> found = rows(spark, "killed/embed");
          if (!found.equals(expected)) {
            throw new IllegalStateException(
                found.size() + " rows (expected: the " + expected.size() + " of the other runs)");
          }
          report.figure("killed_rows_as_expected", found.size());
        });
  }

  private static long commits(Path log) throws IOException {
    if (!Files.exists(log)) {
      return 0;
    }
    try (Stream<Path> entries = Files.list(log)) {
      return entries.filter(e -> e.toString().endsWith(".json.gz")).count();
    }
  }

  /** Numbers and keys, equal ones as often as they are there. */
  private List<String> rows(SparkSession spark, String output) {
    return spark
        .read()
        .parquet(folder.resolve(output).toString())
        .select("id", "lineage.key")
        .collectAsList()
        .stream()
        .map(Row::toString)
        .sorted()
        .toList();
  }

  private static void delete(Path folder) throws IOException {
    if (Files.exists(folder)) {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(path);
        }
      }
    }
  }
}
