package io.lakegen.jobs.demo;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Shows a person that embeddings work: the nearest texts of a few, out of the output of {@code
 * embed}.
 */
@Command(name = "demo-neighbours")
public final class NeighboursCommand implements DemoCommand {
  private static final int TEXTS = 3;
  private static final int NEIGHBOURS = 3;

  @Option(
      names = "--input",
      required = true,
      description = "Output folder of embed, small enough for memory.")
  private String input;

  private record Item(String text, float[] vector) {}

  @Override
  public void print(SparkSession spark, PrintStream out) {
    List<Item> items = new ArrayList<>();
    for (Row row :
        spark
            .read()
            .parquet(input)
            .where("length(text) < 120")
            .select("text", "embedding")
            .collectAsList()) {
      List<Float> values = row.getList(1);
      float[] vector = new float[values.size()];
      IntStream.range(0, vector.length).forEach(i -> vector[i] = values.get(i));
      items.add(new Item(row.getString(0), vector));
    }
    for (int t = 0; t < Math.min(TEXTS, items.size()); t++) {
      Item query = items.get((t * 2 + 1) * items.size() / (2 * TEXTS));
      out.println(query.text());
      items.stream()
          .filter(i -> !i.text().equals(query.text()))
          .sorted(Comparator.comparingDouble((Item i) -> -dot(i.vector(), query.vector())))
          .limit(NEIGHBOURS)
          .forEach(
              i ->
                  out.printf(
                      Locale.ROOT, "  %.3f  %s%n", dot(i.vector(), query.vector()), i.text()));
    }
  }

  private static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }
}
