package io.lakegen.jobs;

import io.lakegen.jobs.cli.Main;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;

/** Runs jobs in the tests' JVM, all in one Spark session of two slots. */
public final class TestJobs {
  public static final Path MINILM = Path.of("target/packs/all-MiniLM-L6-v2").toAbsolutePath();

  private static SparkSession spark;

  private TestJobs() {}

  /** What a call of the command line did. */
  public record Result(int status, String out, String err) {}

  public static synchronized SparkSession spark() {
    if (spark == null || spark.sparkContext().isStopped()) {
      spark =
          SparkSession.builder()
              .master("local[2]")
              .appName("lakegen tests")
              .config("spark.ui.enabled", "false")
              .config("spark.sql.shuffle.partitions", "2")
              .getOrCreate();
    }
    return spark;
  }

  /** Stops the session, whoever made it, so that a test can have one with other settings. */
  public static synchronized void stop() {
    if (SparkSession.getDefaultSession().isDefined()) {
      SparkSession.getDefaultSession().get().stop();
    }
    spark = null;
  }

  public static Result run(Object... args) {
    spark();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    String[] words = java.util.Arrays.stream(args).map(String::valueOf).toArray(String[]::new);
    int status =
        Main.run(
            words,
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    return new Result(
        status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }
}
