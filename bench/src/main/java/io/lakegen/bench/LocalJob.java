package io.lakegen.bench;

import io.lakegen.jobs.cli.Main;
import org.apache.spark.sql.classic.SparkSession;

/** Lakegen's jobs in this process. */
final class LocalJob {
  private LocalJob() {}

  static SparkSession.Builder session(String master) {
    return SparkSession.builder()
        .master(master)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false");
  }

  /**
   * Runs a job by its command line.
   *
   * @throws IllegalStateException if it does not end well
   */
  static void run(String... args) {
    if (Main.run(args, System.out, System.err) != 0) {
      throw new IllegalStateException("the job failed");
    }
  }
}
