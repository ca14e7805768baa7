package io.lakegen.jobs.run;

import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.io.PrintStream;
import org.apache.spark.sql.SparkSession;

/** Runs jobs in a Spark session: what the command line does, for programs and notebooks. */
public final class Jobs {
  private Jobs() {}

  /**
   * Checks everything that can be checked without touching a row.
   *
   * @throws InvalidArgumentsException with every problem
   */
  public static Job check(SparkSession spark, JobSpec spec) {
    return check(spark, spec, new Problems());
  }

  /**
   * Checks as {@link #check(SparkSession, JobSpec)} does.
   *
   * @param problems what is wrong already; told with all that is found
   */
  public static Job check(SparkSession spark, JobSpec spec, Problems problems) {
    return new JobChecks(spark, spec, problems).job();
  }

  /**
   * Checks a job and runs it to its commit.
   *
   * @param progress gets a line now and then
   * @throws InvalidArgumentsException if it cannot run; nothing was done then
   * @throws IOException if the output cannot be written
   * @throws IllegalStateException if a chunk does not hold every input row; it does not count then
   */
  public static RunSummary run(SparkSession spark, JobSpec spec, PrintStream progress)
      throws IOException {
    return run(spark, check(spark, spec), progress);
  }

  /** Runs a job that was checked, as {@link #run(SparkSession, JobSpec, PrintStream)} does. */
  public static RunSummary run(SparkSession spark, Job job, PrintStream progress)
      throws IOException {
    return new JobRunner((org.apache.spark.sql.classic.SparkSession) spark, job, progress).run();
  }
}
