package io.lakegen.jobs.demo;

import java.io.PrintStream;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Shows generated texts beside what they were generated from. */
@Command(name = "demo-texts")
public final class TextsCommand implements DemoCommand {
  @Option(names = "--input", required = true, description = "Output folder of a job.")
  private String input;

  @Option(names = "--column", required = true, description = "Short column to print.")
  private String column;

  @Option(names = "--result", required = true, description = "Column to print beside it.")
  private String result;

  @Option(names = "--rows", description = "Rows to print (default: ${DEFAULT-VALUE}).")
  private int rows = 10;

  @Override
  public void print(SparkSession spark, PrintStream out) {
    for (Row row :
        spark
            .read()
            .parquet(input)
            .select(column, result)
            .orderBy(column)
            .limit(rows)
            .collectAsList()) {
      out.printf("  %-16s %s%n", row.get(0), row.getString(1).strip());
    }
  }
}
