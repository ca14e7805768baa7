package io.lakegen.jobs;

import java.io.IOException;
import java.io.PrintStream;
import org.apache.spark.sql.SparkSession;

/** A hidden command of {@code ./lakegen demo}: shows what a job wrote, for a person to read. */
interface DemoCommand {

  /** Shows it, and returns the exit status. */
  int print(SparkSession spark, PrintStream out) throws IOException;
}
