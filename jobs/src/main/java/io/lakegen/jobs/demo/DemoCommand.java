package io.lakegen.jobs.demo;

import java.io.IOException;
import java.io.PrintStream;
import org.apache.spark.sql.SparkSession;

/** A hidden command of {@code ./lakegen demo}: shows what a job wrote, for a person to read. */
public interface DemoCommand {

  /** Shows it. */
  void print(SparkSession spark, PrintStream out) throws IOException;
}
