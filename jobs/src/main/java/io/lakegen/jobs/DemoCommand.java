package io.lakegen.jobs;

import java.io.PrintStream;
import org.apache.spark.sql.SparkSession;

/** A hidden command of {@code ./lakegen demo}: prints what a job wrote, for a person to read. */
interface DemoCommand {

  /** Prints, and returns the exit status. */
  int print(SparkSession spark, PrintStream out);
}
