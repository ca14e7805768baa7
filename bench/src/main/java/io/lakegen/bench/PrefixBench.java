package io.lakegen.bench;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.decode.ContextEncoder;
import io.lakegen.decode.DecodeLoop;
import io.lakegen.decode.DecodeRequest;
import io.lakegen.decode.DecodedSequence;
import io.lakegen.decode.DecodingOptions;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackStore;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.generate.Generate;
import io.lakegen.task.generate.TextGenerator;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.SparkSession;

/**
 * Prompts behind 1,000 tokens of examples: the generate job and its loop beside the same loop that
 * isn't told of them and copies what it finds shared, one that shares nothing, and {@code
 * transformers.generate} that goes on from a cache computed before and copied by hand.
 * SmolLM2-135M-Instruct, float32, greedy, 64 prompts, 16 new tokens each, all cores (see {@code
 * bench/prefix_transformers.py}). {@code ./lakegen bench prefix}
 */
public final class PrefixBench {
  private static final int NEW_TOKENS = 16;

  /**
   * Prompts of the run that shares nothing, as many as the default budget decodes at once: all 64
   * would take a third of the bench's time.
   */
  private static final int UNSHARED_ROWS = 23;

  private static final String TEMPLATE = "Question: {prompt} Answer:";

  private static final OptionValues OPTIONS =
      OptionValues.NONE
          .with(DecodingOptions.MIN_NEW_TOKENS, NEW_TOKENS)
          .with(DecodingOptions.MAX_NEW_TOKENS, NEW_TOKENS)
          .with(Generate.NO_CHAT_TEMPLATE, true);

  private final Path folder = Path.of(".lakegen/bench/prefix").toAbsolutePath();
  private final Path outputs = Path.of(".lakegen/bench/prefix-output").toAbsolutePath();
  private final String pack = folder.resolve("pack").toString();
  private final int threads = Runtime.getRuntime().availableProcessors();

  private PrefixBench() {}

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    SparkSession spark =
        // One task with all cores: what the others have.
        LocalJob.session("local[1]").config("spark.executor.heartbeatInterval", "2s").getOrCreate();
    new PrefixBench().run(spark);
    spark.stop();
    ExecutorModels.close();
  }

  private void run(SparkSession spark) throws Exception {
    FileSystem.getLocal(new Configuration())
        .delete(new org.apache.hadoop.fs.Path(outputs.toUri()), true);
    Files.createDirectories(outputs);
    // Loads the model, and has nothing in common with the prompts.
    Path warm = Files.writeString(outputs.resolve("warm.jsonl"), "{\"prompt\": \"A lake\"}\n");
    lakegen(warm, "warm");
    Report report = new Report("prefix");
    Spent job = Spent.by(() -> lakegen(folder.resolve("prompts.jsonl"), "job"));
    ExecutorModels.close();
    List<DecodedSequence> shared;
    List<DecodedSequence> copied;
    List<DecodedSequence> alone;
    Spent sharing;
    Spent copying;
    Spent computing;
    List<String> texts = new ArrayList<>();
    try (LoadedModel model =
        LoadedModel.load(
            PackStore.ofNode().fetch(pack, new Configuration()), Device.cpu(), threads)) {
      TextGenerator generator = generator(model);
      List<DecodeRequest<long[]>> requests = requests(generator);
      long[] common = generator.commonTokens();
      long[] none = {};
      ContextEncoder<long[]> tokens = ContextEncoder.none();
      List<List<DecodedSequence>> results = new ArrayList<>();
      decode(model, requests.subList(0, 1), new Unshared(), none);
      sharing = Spent.by(() -> results.add(decode(model, requests, tokens, common)));
      copying = Spent.by(() -> results.add(decode(model, requests, tokens, none)));
      computing =
          Spent.by(
                  () ->
                      results.add(
                          decode(model, requests.subList(0, UNSHARED_ROWS), new Unshared(), none)))
              .times((double) requests.size() / UNSHARED_ROWS);
      shared = results.get(0);
      copied = results.get(1);
      alone = results.get(2);
      shared.forEach(s -> texts.add(model.tokenizer().decode(s.tokens(), true)));
    }
    JsonNode transformers =
        Peer.run(
            "bench/prefix_transformers.py",
            "time",
            folder.toString(),
            Integer.toString(NEW_TOKENS),
            Integer.toString(threads),
            "16",
            "64");
    int rows = shared.size();
    double theirs = transformers.path("seconds").asDouble();
    report.figure("shared_tokens", transformers.path("shared").asInt());
    report.figure("job_rows_per_second", rows / job.seconds());
    report.figure("shared_rows_per_second", rows / sharing.seconds());
    report.figure("copied_rows_per_second", rows / copying.seconds());
    report.figure("unshared_rows_per_second", rows / computing.seconds());
    report.figure("transformers_rows_per_second", rows / theirs);
    report.figure("transformers_batch", transformers.path("batch").asInt());
    report.figure("transformers_prefix_seconds", transformers.path("prefix_seconds").asDouble());
    report.figure("shared_over_unshared", computing.seconds() / sharing.seconds());
    report.figure("copied_over_unshared", computing.seconds() / copying.seconds());
    report.figure("job_over_unshared", computing.seconds() / job.seconds());
    report.figure(
        "shared_over_unshared_cpu_seconds", computing.cpuSeconds() / sharing.cpuSeconds());
    report.figure("shared_over_transformers", theirs / sharing.seconds());
    report.figure("job_over_transformers", theirs / job.seconds());
    report.figure(
        "shared_over_transformers_cpu_seconds",
        transformers.path("cpu_seconds").asDouble() / sharing.cpuSeconds());
    report.figure("rows_equal_to_unshared", equal(shared.subList(0, UNSHARED_ROWS), ids(alone)));
    report.figure(
        "copied_rows_equal_to_unshared", equal(copied.subList(0, UNSHARED_ROWS), ids(alone)));
    report.figure("rows_equal_to_transformers", equal(shared, ids(transformers.path("tokens"))));
    report.figure("job_rows_equal", equal(spark, texts));
    report.figure("peak_rss_mb", Report.memory("VmHWM"));
    report.print();
  }

  private TextGenerator generator(LoadedModel model) throws Exception {
    String examples = Files.readString(folder.resolve("examples.jsonl"));
    OptionValues options =
        OPTIONS.with(Generate.TEMPLATE, TEMPLATE).with(Generate.EXAMPLES, examples);
    return new Generate().open(model, options, budget());
  }

  private List<DecodeRequest<long[]>> requests(TextGenerator generator) throws Exception {
    List<DecodeRequest<long[]>> requests = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("prompts.jsonl"))) {
      String prompt = new ObjectMapper().readTree(line).path("prompt").asText();
      byte[][] values = {prompt.getBytes(StandardCharsets.UTF_8)};
      long[] ids = generator.prepare(RowInput.of(List.of("{prompt}"), values, 0)).ids();
      requests.add(new DecodeRequest<>(ids, NEW_TOKENS, 0, ids));
    }
    return requests;
  }

  private static Budget budget() {
    return new Budget(new Generate().data().budget().cpu());
  }

  private static List<DecodedSequence> decode(
      LoadedModel model,
      List<DecodeRequest<long[]>> requests,
      ContextEncoder<long[]> encoder,
      long[] common) {
    return new DecodeLoop<>(model, OPTIONS, encoder, budget(), DecodeLoop.BudgetUnit.SLOTS, common)
        .run(requests).stream().map(s -> s.get(0)).toList();
  }

  /** A causal model that does not say so: nothing is shared. */
  private record Unshared() implements ContextEncoder<long[]> {
    @Override
    public NDList encode(List<long[]> inputs, NDArray cache) {
      return new NDList();
    }

    @Override
    public int length(long[] input) {
      return 0;
    }
  }

  private void lakegen(Path input, String output) {
    LocalJob.run(
        "generate",
        "--input",
        input.toString(),
        "--model",
        pack,
        "--output",
        outputs.resolve(output).toString(),
        "--no-chat-template",
        "--template",
        TEMPLATE,
        "--examples",
        folder.resolve("examples.jsonl").toString(),
        "--min-new-tokens",
        Integer.toString(NEW_TOKENS),
        "--max-new-tokens",
        Integer.toString(NEW_TOKENS));
  }

  private static List<List<Long>> ids(List<DecodedSequence> sequences) {
    return sequences.stream().map(PrefixBench::ids).toList();
  }

  private static List<Long> ids(DecodedSequence sequence) {
    return java.util.Arrays.stream(sequence.tokens()).boxed().toList();
  }

  private static List<List<Long>> ids(JsonNode rows) {
    List<List<Long>> all = new ArrayList<>();
    for (JsonNode row : rows) {
      List<Long> ids = new ArrayList<>();
      row.forEach(id -> ids.add(id.asLong()));
      all.add(ids);
    }
    return all;
  }

  /** The share of rows with equal tokens. */
  private static double equal(List<DecodedSequence> actual, List<List<Long>> expected) {
    int same = 0;
    for (int i = 0; i < actual.size(); i++) {
      same += ids(actual.get(i)).equals(expected.get(i)) ? 1 : 0;
    }
    return (double) same / actual.size();
  }

  private double equal(SparkSession spark, List<String> texts) {
    List<Row> rows =
        spark
            .read()
            .parquet(outputs.resolve("job").toString())
            .select("id", "text")
            .orderBy("id")
            .collectAsList();
    int same = 0;
    for (int i = 0; i < texts.size(); i++) {
      same += texts.get(i).equals(rows.get(i).getString(1)) ? 1 : 0;
    }
    return (double) same / texts.size();
  }
}
