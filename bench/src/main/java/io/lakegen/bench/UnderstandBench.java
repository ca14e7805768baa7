package io.lakegen.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.spark.ExecutorModels;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.SparkSession;

/**
 * The jobs that read rather than make, beside the pipelines of transformers, in turns on one
 * machine: the same rows, batch size and threads, models of usual sizes with random weights. {@code
 * ./lakegen bench understand}
 */
public final class UnderstandBench {
  private static final Path FOLDER = Path.of(".lakegen/bench/understand").toAbsolutePath();
  private static final int ROWS = 160;
  private static final int PHOTOS = 120;
  private static final int PHOTO_BATCH = 16;

  /** Eight windows, the batch size of the pipeline. */
  private static final int TEXT_BUDGET = 8 * 384;

  private static final String LABELS = "boat,house,cat,man,tree,river,dog,car,table,flower";

  private final Report report = new Report("understand");
  private final SparkSession spark;

  private UnderstandBench(SparkSession spark) {
    this.spark = spark;
  }

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    Peer.output("bench/understand_transformers.py", "prepare", FOLDER.toString());
    SparkSession spark = LocalJob.session("local[2]").getOrCreate();
    new UnderstandBench(spark).run();
    spark.stop();
    ExecutorModels.close();
  }

  private void run() throws Exception {
    compare("answer", ROWS, "id", "answer", answer());
    compare("classify", PHOTOS, "path", "label", photos("classify", "vit"));
    compare("embed", PHOTOS, "path", "embedding", photos("embed", "dinov2"));
    compare("zero-shot", PHOTOS, "path", "label", photos("classify", "clip", "--labels", LABELS));
    report.print();
  }

  private static List<String> answer() {
    return List.of(
        "answer",
        "--input",
        FOLDER.resolve("questions.jsonl").toString(),
        "--question-column",
        "question",
        "--model",
        FOLDER.resolve("pack-distilbert").toString(),
        "--batch-budget",
        Integer.toString(TEXT_BUDGET));
  }

  private static List<String> photos(String job, String model, String... more) {
    List<String> words =
        new ArrayList<>(
            List.of(
                job,
                "--input",
                FOLDER.resolve("photographs").toString(),
                "--model",
                FOLDER.resolve("pack-" + model).toString(),
                "--batch-budget",
                Integer.toString(PHOTO_BATCH)));
    words.addAll(List.of(more));
    return words;
  }

  /** The machine's speed drifts: the pipeline runs on both sides of the job, half the rows each. */
  private void compare(String name, int rows, String key, String column, List<String> job)
      throws Exception {
    JsonNode before = transformers(name, 0, rows / 2);
    // Both sides have done a first batch before the clock starts.
    run(job, output(), "--limit", Integer.toString(PHOTO_BATCH));
    String output = output();
    Spent spent = Spent.by(() -> run(job, output));
    JsonNode after = transformers(name, rows / 2, rows);
    double reference = before.path("seconds").asDouble() + after.path("seconds").asDouble();
    double cpu = before.path("cpuSeconds").asDouble() + after.path("cpuSeconds").asDouble();
    String figure = name.replace('-', '_');
    report.figure(figure + "_rows_per_second", rows / spent.seconds());
    report.figure(figure + "_transformers_rows_per_second", rows / reference);
    report.figure(figure + "_over_transformers", reference / spent.seconds());
    report.figure(figure + "_over_transformers_cpu_seconds", cpu / spent.cpuSeconds());
    report.figure(figure + "_agreement", agreement(output, key, column, before, after) / rows);
  }

  private static String output() {
    return FOLDER.resolve("out-" + UUID.randomUUID()).toString();
  }

  private static void run(List<String> job, String output, String... more) {
    List<String> words = new ArrayList<>(job);
    words.addAll(List.of("--output", output));
    words.addAll(List.of(more));
    LocalJob.run(words.toArray(String[]::new));
  }

  private static JsonNode transformers(String name, int from, int to) throws Exception {
    return Peer.run(
        "bench/understand_transformers.py",
        name,
        FOLDER.toString(),
        "--from",
        Integer.toString(from),
        "--to",
        Integer.toString(to));
  }

  /** Rows with the same text, or, of vectors, the sum of the cosines. */
  private double agreement(String output, String key, String column, JsonNode... references) {
    Map<String, Row> rows = new TreeMap<>();
    for (Row row : spark.read().parquet(output).select(key, column).collectAsList()) {
      rows.put(Path.of(row.get(0).toString()).getFileName().toString(), row);
    }
    double sum = 0;
    for (JsonNode reference : references) {
      for (Map.Entry<String, JsonNode> one : reference.path("results").properties()) {
        Row row = rows.get(one.getKey());
        sum +=
            one.getValue().isArray()
                ? cosine(row.getList(1), one.getValue())
                : row.getString(1).strip().equals(one.getValue().asText().strip()) ? 1 : 0;
      }
    }
    return sum;
  }

  private static double cosine(List<Float> one, JsonNode other) {
    double product = 0;
    double squares = 0;
    double otherSquares = 0;
    for (int i = 0; i < one.size(); i++) {
      double value = other.path(i).asDouble();
      product += one.get(i) * value;
      squares += one.get(i) * one.get(i);
      otherSquares += value * value;
    }
    return product / Math.sqrt(squares * otherSquares);
  }
}
