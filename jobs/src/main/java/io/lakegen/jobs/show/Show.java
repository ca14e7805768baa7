package io.lakegen.jobs.show;

import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;

/** Shows what jobs made. */
public final class Show {
  private static final int TERMINAL_ROWS = 10;
  private static final int PAGE_ROWS = 200;

  private final SparkSession spark;
  private final PrintStream out;
  private final int columns;

  /**
   * @param out gets what is shown, or a line that says where the page is
   * @param columns of the terminal
   */
  @SuppressWarnings("MissingSummary")
  public Show(SparkSession spark, PrintStream out, int columns) {
    this.spark = spark;
    this.out = out;
    this.columns = columns;
  }

  /**
   * Shows an output.
   *
   * @param other to compare it with; may be null
   * @param where an SQL condition on its rows; null for all
   * @param limit most rows; null for the default
   * @param html the page to write; null for the terminal
   * @throws InvalidArgumentsException with everything that is wrong with these
   * @throws IOException if a file cannot be read or written
   */
  public void show(String output, String other, String where, Integer limit, Path html)
      throws IOException {
    Problems problems = new Problems();
    if (limit != null && limit < 1) {
      problems.add("limit", limit, "1 or more");
    }
    if (html != null && (Files.isDirectory(html) || !Files.isDirectory(folder(html)))) {
      problems.add("html", html, "a file in a folder that is there");
    }
    problems.throwIfAny();
    int rows = limit != null ? limit : html == null ? TERMINAL_ROWS : PAGE_ROWS;
    JobOutput a = new JobOutput(spark, output, where);
    TextView view = new TextView(out, columns);
    if (other == null) {
      if (html == null) {
        view.print(a, rows);
        return;
      }
      write(Page.of(a, rows), html);
    } else {
      Comparison comparison = new Comparison(a, new JobOutput(spark, other, where), rows);
      if (html == null) {
        view.print(comparison);
        return;
      }
      write(Page.of(comparison), html);
    }
  }

  private static Path folder(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    return parent == null ? file : parent;
  }

  private void write(String page, Path file) throws IOException {
    Files.writeString(file, page);
    out.println("page of " + Values.size(Files.size(file)) + ": " + file.toAbsolutePath());
  }
}
