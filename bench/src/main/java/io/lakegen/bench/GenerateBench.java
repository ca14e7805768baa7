package io.lakegen.bench;

import ai.djl.Device;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.decode.DecodingOptions;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackStore;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.generate.Generate;
import io.lakegen.task.generate.TextGenerator;
import io.lakegen.task.generate.TextGenerator.PreparedPrompt;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.classic.SparkSession;

/**
 * The generate job beside the same loop with static batches and beside {@code
 * transformers.generate}, in turns: GPT-2-small with random weights, 64 prompts, output lengths
 * that nobody knows beforehand (see {@code bench/generate_transformers.py}), batches of 16, all
 * cores, float32, greedy. Only the tokens of the outputs count. {@code ./lakegen bench generate
 * [THREADS]}
 */
public final class GenerateBench {
  private static final int BATCH = 16;
  private static final int LONGEST = 200;

  /**
   * Slots of a row: 24 prompt tokens and 199 of the output, and what a call sees of them on CPUs.
   */
  private static final int SLOTS = 512;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final SparkSession spark;
  private final int threads;
  private final Path folder = Path.of(".lakegen/bench/generate").toAbsolutePath();
  private final Path outputs = Path.of(".lakegen/bench/generate-output").toAbsolutePath();
  private final Path input = folder.resolve("prompts.parquet");
  private final List<JsonNode> prompts = new ArrayList<>();

  private GenerateBench(SparkSession spark, int threads) {
    this.spark = spark;
    this.threads = threads;
  }

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    SparkSession spark =
        // One task with all cores: what transformers has.
        LocalJob.session("local[1]").config("spark.executor.heartbeatInterval", "2s").getOrCreate();
    int cores = Runtime.getRuntime().availableProcessors();
    new GenerateBench(spark, args.length > 0 ? Integer.parseInt(args[0]) : cores).run();
    spark.stop();
    ExecutorModels.close();
  }

  private void run() throws Exception {
    for (String line : Files.readAllLines(folder.resolve("prompts.jsonl"))) {
      prompts.add(JSON.readTree(line));
    }
    // One Parquet file is one partition: both sides see all prompts at once.
    spark
        .read()
        .json(folder.resolve("prompts.jsonl").toString())
        .coalesce(1)
        .write()
        .mode(SaveMode.Overwrite)
        .parquet(input.toString());
    FileSystem.getLocal(new Configuration())
        .delete(new org.apache.hadoop.fs.Path(outputs.toUri()), true);
    int useful = prompts.stream().mapToInt(p -> p.path("length").asInt()).sum();
    Report report = new Report("generate");
    LoadedModel model =
        LoadedModel.load(
            PackStore.ofNode().fetch(folder.resolve("pack").toString(), new Configuration()),
            Device.cpu(),
            threads);
    try (model) {
      TextGenerator generator =
          new Generate()
              .open(
                  model,
                  OptionValues.NONE.with(DecodingOptions.MAX_NEW_TOKENS, LONGEST),
                  new Budget((long) BATCH * SLOTS));
      lakegen("warm", "--limit", "2");
      Spent job = Spent.by(() -> lakegen("job"));
      report.figure("job_tokens_per_second", useful / job.seconds());
      Spent fixed = Spent.by(() -> staticBatches(generator));
      report.figure("static_tokens_per_second", useful / fixed.seconds());
      JsonNode transformers =
          Peer.run(
              "bench/generate_transformers.py",
              "time",
              folder.toString(),
              Integer.toString(BATCH),
              Integer.toString(threads));
      double transformersSeconds = transformers.path("seconds").asDouble();
      report.figure("transformers_tokens_per_second", useful / transformersSeconds);
      report.figure("rows_equal_to_transformers", compare(transformers.path("tokens")));
      report.figure("job_over_static", fixed.seconds() / job.seconds());
      report.figure("job_over_transformers", transformersSeconds / job.seconds());
      // Unlike the clock, these do not count what other processes take.
      report.figure("job_over_static_cpu_seconds", fixed.cpuSeconds() / job.cpuSeconds());
      report.figure(
          "job_over_transformers_cpu_seconds",
          transformers.path("cpu_seconds").asDouble() / job.cpuSeconds());
    }
    report.figure("peak_rss_mb", Report.memory("VmHWM"));
    report.print();
  }

  private void lakegen(String output, String... more) {
    List<String> args =
        new ArrayList<>(
            List.of(
                "generate",
                "--input",
                input.toString(),
                "--model",
                folder.resolve("pack").toString(),
                "--output",
                outputs.resolve(output).toString(),
                "--max-new-tokens",
                Integer.toString(LONGEST),
                "--batch-budget",
                Integer.toString(BATCH * SLOTS)));
    args.addAll(List.of(more));
    LocalJob.run(args.toArray(String[]::new));
  }

  /**
   * The same loop, batch by batch, every row of a batch decoded for as long as its longest: each
   * prompt's end position, which is its first token, is moved to the longest row's.
   */
  private void staticBatches(TextGenerator generator) throws RowException {
    for (int from = 0; from < prompts.size(); from += BATCH) {
      List<JsonNode> rows = prompts.subList(from, Math.min(prompts.size(), from + BATCH));
      int longest = rows.stream().mapToInt(r -> r.path("length").asInt()).max().orElseThrow();
      List<PreparedPrompt> batch = new ArrayList<>();
      for (JsonNode row : rows) {
        String[] words = row.path("prompt").asText().split(" ");
        words[0] = Integer.toString(words.length + longest - 1);
        byte[][] values = {String.join(" ", words).getBytes(StandardCharsets.UTF_8)};
        batch.add(generator.prepare(RowInput.of(List.of("{prompt}"), values, 0)));
      }
      List<Integer> lengths =
          generator.infer(batch).stream().map(t -> t.get(0).tokenCount()).toList();
      if (lengths.stream().anyMatch(l -> l != longest)) {
        throw new IllegalStateException(
            "static batch: " + lengths + " tokens (expected: " + longest + " for every row)");
      }
    }
  }

  /**
   * Both sides must have done the same work: equal lengths, and, but for ties, equal tokens: their
   * share.
   */
  private double compare(JsonNode expected) {
    List<Row> rows =
        spark
            .read()
            .parquet(outputs.resolve("job").toString())
            .selectExpr("id", "text", "token_count", "finish_reason")
            .orderBy("id")
            .collectAsList();
    int same = 0;
    for (int i = 0; i < prompts.size(); i++) {
      Row row = rows.get(i);
      int length = prompts.get(i).path("length").asInt();
      if (row.isNullAt(2) || row.getInt(2) != length || expected.path(i).size() != length) {
        throw new IllegalStateException(
            "prompt " + i + ": " + row + " (expected: " + length + " tokens)");
      }
      List<String> words = new ArrayList<>();
      // Without the end token, which is no part of the text.
      for (int t = 0; t < length - 1; t++) {
        words.add(expected.path(i).path(t).asText());
      }
      String text = String.join(" ", words);
      same += text.equals(row.getString(1)) ? 1 : 0;
    }
    return (double) same / prompts.size();
  }
}
