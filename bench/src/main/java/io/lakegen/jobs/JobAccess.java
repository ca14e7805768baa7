package io.lakegen.jobs;

import io.lakegen.model.PackStore;
import io.lakegen.spark.RowTask;
import java.io.IOException;
import java.util.List;
import java.util.TreeMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.SparkSession;

/**
 * Lets benchmarks run a task of their own through everything that a job is but its command line.
 */
public final class JobAccess {
  private JobAccess() {}

  /**
   * Runs a task over a text file.
   *
   * @return rows in a second of wall-clock time, from counting to the committed manifest
   */
  public static double rowsPerSecond(
      SparkSession spark, RowTask<?, ?, ?> task, String input, String model, String output)
      throws IOException {
    Problems problems = new Problems();
    CommonOptions options = new CommonOptions();
    options.input.add(input);
    options.model = model;
    var conf = spark.sparkContext().hadoopConfiguration();
    Partitions.configure(spark);
    InputFiles files = InputFiles.find(options.input, null, conf, problems).orElseThrow();
    Dataset<Row> rows = new InputReader(spark).read(files, options.column);
    Job job =
        new Job(
            "bench",
            options,
            new TreeMap<>(),
            task,
            PackStore.ofNode().fetch(model, conf),
            rows,
            r -> r,
            List.of(rows.columns()),
            List.of(rows.columns()),
            RunOutput.check(output, conf, problems),
            RowsExport.NONE);
    RunSummary summary = new JobRunner(spark, System.err, false).run(job);
    summary.lines().forEach(line -> System.out.println("  " + line));
    return summary.input() / summary.seconds();
  }
}
