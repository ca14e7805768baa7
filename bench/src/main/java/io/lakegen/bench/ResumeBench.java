package io.lakegen.bench;

import io.lakegen.jobs.run.CommitEvery;
import io.lakegen.jobs.run.Job;
import io.lakegen.jobs.run.JobOptions;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.jobs.run.Jobs;
import io.lakegen.jobs.run.RunSummary;
import io.lakegen.spark.ExecutorModels;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;

/**
 * What a restart costs: one file of a million rows, half of it done. {@code ./lakegen bench
 * resume}. The state of a driver that was killed is made by taking the log's later half away.
 */
public final class ResumeBench {
  private static final int ROWS = 1_000_000;
  private static final String MODEL =
      Path.of("jobs/target/packs/all-MiniLM-L6-v2").toAbsolutePath().toString();

  private ResumeBench() {}

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    SparkSession spark = LocalJob.session("local[*]").getOrCreate();
    Path folder = Path.of(".lakegen/bench/resume").toAbsolutePath();
    delete(folder);
    Files.createDirectories(folder);
    Path input = folder.resolve("rows.jsonl");
    try (BufferedWriter out = Files.newBufferedWriter(input)) {
      for (int i = 0; i < ROWS; i++) {
        out.write("{\"id\":" + i + ",\"text\":\"generated row " + i + " of a short text\"}\n");
      }
    }
    JobSpec spec =
        JobSpec.of(new IdentityRows())
            .with(JobOptions.INPUT, List.of(input.toString()))
            .with(JobOptions.MODEL, MODEL)
            .with(JobOptions.OUTPUT, folder + "/out")
            .with(JobOptions.COMMIT_EVERY, CommitEvery.parse("50000"));
    Report report = new Report("resume");
    RunSummary first = Jobs.run(spark, spec, System.out);
    report.figure("rows_per_second", first.input() / first.seconds());
    List<Path> log;
    try (Stream<Path> entries = Files.list(folder.resolve("out/_lakegen/commits"))) {
      log = entries.filter(e -> e.toString().endsWith(".json.gz")).sorted().toList();
    }
    report.figure("chunks", log.size());
    for (Path entry : log.subList(log.size() / 2, log.size())) {
      Files.delete(entry);
    }
    double before = heap();
    long start = System.nanoTime();
    Job job = Jobs.check(spark, spec);
    report.figure("seconds_to_decide", (System.nanoTime() - start) / 1e9);
    report.figure("heap_grown_mb", heap() - before);
    RunSummary second = Jobs.run(spark, job, System.out);
    report.figure("rows_skipped", (double) second.skipped());
    report.figure("rows_done", (double) second.ok());
    long rows = spark.read().parquet(folder + "/out").select("id").distinct().count();
    if (second.input() != ROWS || rows != ROWS) {
      throw new IllegalStateException(rows + " rows (expected: " + ROWS + ", each once)");
    }
    report.print();
    spark.stop();
    ExecutorModels.close();
  }

  private static double heap() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return (runtime.totalMemory() - runtime.freeMemory()) / 1e6;
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
