package io.lakegen.jobs.cli;

import io.lakegen.jobs.show.Show;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Shows what a job made. */
@Command(
    name = "show",
    description =
        "Shows what a job's output holds: rows, how its values are spread, errors; on the terminal,"
            + " or as one HTML page that needs no network.",
    mixinStandardHelpOptions = true)
final class ShowCommand {
  @Parameters(paramLabel = "OUTPUT", description = "Folder of the results, on any file system.")
  private String output;

  @Option(names = "--html", paramLabel = "FILE", description = "Write a page instead.")
  private Path html;

  @Option(
      names = "--compare",
      paramLabel = "OTHER",
      description =
          "Another output over the same input: both are shown side by side, row by row, those that"
              + " differ most first.")
  private String other;

  @Option(
      names = "--where",
      paramLabel = "SQL",
      description = "Show rows with this condition only, such as \"token_count > 100\".")
  private String where;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Most rows to show. Default: 10, and 200 in a page.")
  private Integer limit;

  void run(SparkSession spark, PrintStream out, int columns) throws IOException {
    new Show(spark, out, columns).show(output, other, where, limit, html);
  }
}
