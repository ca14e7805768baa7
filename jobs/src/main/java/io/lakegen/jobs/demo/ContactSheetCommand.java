package io.lakegen.jobs.demo;

import static org.apache.spark.sql.functions.lit;

import java.io.IOException;
import java.io.PrintStream;
import java.io.Writer;
import java.nio.file.Files;
import java.util.Base64;
import java.util.Iterator;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Function;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Shows a person what {@code render} and {@code caption} made: one HTML page, pictures inline. */
@Command(name = "demo-contact-sheet")
public final class ContactSheetCommand implements DemoCommand {
  @Option(
      names = "--renders",
      description = "Output folder of render, its prompts in the column prompt.")
  private String renders;

  @Option(names = "--captions", description = "Output folder of caption with --thumbnail.")
  private String captions;

  @Option(names = "--output", required = true, description = "The HTML file to write.")
  private java.nio.file.Path output;

  /**
   * @param name what an error row is called by
   * @param good an image file, a text and a line of details of a good row
   */
  private record Section(
      String title, Dataset<Row> rows, Function<Row, String> name, Function<Row, Figure> good) {}

  private record Figure(byte[] image, String text, String details) {}

  @Override
  public void print(SparkSession spark, PrintStream out) throws IOException {
    int count = 0;
    try (Writer page = Files.newBufferedWriter(output)) {
      page.write(
          """
          <!DOCTYPE html>
          <html lang="en"><head><meta charset="utf-8"><title>Contact sheet</title><style>
          body { font: 14px/1.4 sans-serif; margin: 24px; background: #fff; color: #1b1b1b }
          main { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 16px }
          figure { margin: 0; padding: 8px; border: 1px solid #d0d0d0; border-radius: 4px }
          figure.error { border-color: #b00020; background: #fdecee }
          img { display: block; width: 100%; height: 150px; object-fit: contain }
          .none { height: 150px; display: grid; place-items: center; color: #b00020; font-weight: bold }
          small { color: #666; overflow-wrap: anywhere }
          </style></head><body>
          """);
      if (renders != null) {
        Dataset<Row> rows = outcomes(spark, renders);
        Function<Row, String> prompt = row -> Objects.toString(row.getAs("prompt"));
        count += write(new Section("Renders", rows, prompt, ContactSheetCommand::render), page);
      }
      if (captions != null) {
        Dataset<Row> rows = outcomes(spark, captions).orderBy("path");
        Function<Row, String> file = row -> fileName(row.getAs("path"));
        count += write(new Section("Captions", rows, file, ContactSheetCommand::caption), page);
      }
      page.write("</body></html>\n");
    }
    out.println("contact sheet of " + count + " pictures: " + output);
  }

  /** Good rows and error rows. */
  private static Dataset<Row> outcomes(SparkSession spark, String output) throws IOException {
    Dataset<Row> good = spark.read().parquet(output);
    Path errors = new Path(output, "_errors");
    FileSystem fs = errors.getFileSystem(spark.sparkContext().hadoopConfiguration());
    return fs.exists(errors)
        ? good.unionByName(spark.read().parquet(errors.toString()), true)
        : good.withColumn("error", lit(null));
  }

  private static Figure render(Row row) {
    return new Figure(
        row.getAs("image"),
        row.getAs("prompt"),
        String.format(
            Locale.ROOT,
            "%s, %d steps, guidance %.1f, seed %d",
            row.<String>getAs("scheduler"),
            row.<Integer>getAs("steps"),
            row.<Double>getAs("guidance_scale"),
            row.<Long>getAs("seed")));
  }

  private static Figure caption(Row row) {
    return new Figure(
        row.getAs("thumbnail"),
        row.getAs("caption"),
        String.format(
            Locale.ROOT,
            "%.2f per token, %d × %d, %s",
            row.<Double>getAs("mean_logprob"),
            row.<Integer>getAs("width"),
            row.<Integer>getAs("height"),
            fileName(row.getAs("path"))));
  }

  private static int write(Section section, Writer page) throws IOException {
    page.write("<h1>" + section.title() + "</h1><main>\n");
    int count = 0;
    for (Iterator<Row> rows = section.rows().toLocalIterator(); rows.hasNext(); count++) {
      Row row = rows.next();
      Row error = row.getAs("error");
      if (error == null) {
        Figure figure = section.good().apply(row);
        page.write(
            "<figure><img alt=\"\" src=\"data:"
                + (figure.image()[0] == (byte) 0xFF ? "image/jpeg" : "image/png")
                + ";base64,"
                + Base64.getEncoder().encodeToString(figure.image())
                + "\">");
        write(figure.text(), figure.details(), page);
      } else {
        page.write(
            "<figure class=\"error\"><div class=\"none\">"
                + escape(error.getAs("type"))
                + "</div>");
        write(
            error.getAs("stage") + ": " + error.getAs("message"), section.name().apply(row), page);
      }
    }
    page.write("</main>\n");
    return count;
  }

  private static void write(String text, String details, Writer page) throws IOException {
    page.write(
        "<figcaption>"
            + escape(text)
            + "<br><small>"
            + escape(details)
            + "</small></figcaption></figure>\n");
  }

  private static String fileName(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }

  /** Captions and paths are data: nothing of them may become markup. */
  private static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }
}
