package io.lakegen.jobs;

import java.io.IOException;
import java.io.PrintStream;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Locale;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Shows a person the output of {@code caption}: one HTML page with every picture and its caption.
 */
@Command(name = "demo-contact-sheet", hidden = true, mixinStandardHelpOptions = true)
final class ContactSheetCommand implements DemoCommand {
  @Option(
      names = "--input",
      required = true,
      description = "Output folder of caption with --thumbnail.")
  private String input;

  @Option(names = "--output", required = true, description = "The HTML file to write.")
  private Path output;

  @Override
  public int print(SparkSession spark, PrintStream out) throws IOException {
    Dataset<Row> rows =
        spark
            .read()
            .parquet(input)
            .select("path", "thumbnail", "caption", "mean_logprob", "width", "height", "error")
            .orderBy("path");
    try (Writer page = Files.newBufferedWriter(output)) {
      int count = write(rows.toLocalIterator(), page);
      out.println("contact sheet of " + count + " pictures: " + output);
      return Main.GOOD;
    }
  }

  private static int write(Iterator<Row> rows, Writer page) throws IOException {
    page.write(
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><title>Captions</title><style>
        body { font: 14px/1.4 sans-serif; margin: 24px; background: #fff; color: #1b1b1b }
        main { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 16px }
        figure { margin: 0; padding: 8px; border: 1px solid #d0d0d0; border-radius: 4px }
        figure.error { border-color: #b00020; background: #fdecee }
        img { display: block; width: 100%; height: 150px; object-fit: contain }
        .none { height: 150px; display: grid; place-items: center; color: #b00020; font-weight: bold }
        small { color: #666; overflow-wrap: anywhere }
        </style></head><body><h1>Captions</h1><main>
        """);
    int count = 0;
    for (; rows.hasNext(); count++) {
      figure(rows.next(), page);
    }
    page.write("</main></body></html>\n");
    return count;
  }

  private static void figure(Row row, Writer page) throws IOException {
    String path = row.getAs("path");
    Row error = row.getAs("error");
    if (error != null) {
      page.write(
          "<figure class=\"error\"><div class=\"none\">"
              + escape(error.<String>getAs("type"))
              + "</div><figcaption>"
              + escape(error.<String>getAs("stage") + ": " + error.<String>getAs("message")));
    } else {
      page.write(
          "<figure><img alt=\"\" src=\"data:image/jpeg;base64,"
              + java.util.Base64.getEncoder().encodeToString(row.getAs("thumbnail"))
              + "\"><figcaption>"
              + escape(row.getAs("caption"))
              + String.format(
                  Locale.ROOT,
                  "<br><small>%.2f per token, %d &times; %d</small>",
                  row.<Double>getAs("mean_logprob"),
                  row.<Integer>getAs("width"),
                  row.<Integer>getAs("height")));
    }
    page.write(
        "<br><small>"
            + escape(path.substring(path.lastIndexOf('/') + 1))
            + "</small></figcaption></figure>\n");
  }

  /** Captions and paths are data: nothing of them may become markup. */
  private static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }
}
