package io.lakegen.bench;

import ai.djl.Device;
import io.lakegen.jobs.run.JobOptions;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.jobs.run.Jobs;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackStore;
import io.lakegen.problem.Problems;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.spark.LakegenExtensions;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.generate.Generate;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileUtil;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;

/**
 * {@code SELECT ai_embed(text)} into Parquet beside the embed job, and beside a function that works
 * row at a time on the same engine; the latter for {@code ai_complete}, too. In one JVM, in turns.
 * {@code ./lakegen bench sql}.
 */
public final class SqlBench {
  private static final int TEXTS = 3000;
  private static final int ROUNDS = 2;
  private static final Map<String, Object> COMPLETION =
      Map.of("max-new-tokens", "40", "do-sample", "true");

  private static final Path MINILM = Path.of("jobs/target/packs/all-MiniLM-L6-v2");
  private static final Path GPT2 = Path.of("sample-data/models/definitions-gpt2");

  private final SparkSession spark;
  private final Path folder = Path.of(".lakegen/bench/sql").toAbsolutePath();
  private final Report report = new Report("sql");

  /** Rows and seconds by side. */
  private final Map<String, double[]> sums = new LinkedHashMap<>();

  private SqlBench(SparkSession spark) {
    this.spark = spark;
  }

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    SparkSession spark =
        LocalJob.session("local[*]")
            .config("spark.sql.extensions", LakegenExtensions.class.getName())
            .config("spark.lakegen.default.embed", MINILM.toAbsolutePath().toString())
            .config("spark.lakegen.default.generate", GPT2.toAbsolutePath().toString())
            .getOrCreate();
    new SqlBench(spark).run();
    spark.stop();
    ExecutorModels.close();
  }

  private void run() throws Exception {
    FileUtil.fullyDelete(folder.toFile());
    Files.createDirectories(folder);
    List<String> texts = Files.readAllLines(Path.of(".lakegen/bench/texts.jsonl"));
    Path corpus = Files.write(folder.resolve("texts.jsonl"), texts.subList(0, TEXTS));
    Path some = Files.write(folder.resolve("some.jsonl"), texts.subList(TEXTS, TEXTS + 200));
    Path words = Path.of("sample-data/prompts/words.jsonl").toAbsolutePath();
    try (LoadedModel minilm = load(MINILM);
        LoadedModel gpt2 = load(GPT2)) {
      register(
          "embed_row",
          new Embed(),
          OptionValues.NONE,
          minilm,
          DataTypes.createArrayType(DataTypes.FloatType));
      register("complete_row", new Generate(), completion(), gpt2, DataTypes.StringType);
      for (int round = -1; round < ROUNDS; round++) {
        boolean warmUp = round < 0;
        Path input = warmUp ? some : corpus;
        int rows = warmUp ? 200 : TEXTS;
        time(warmUp, "job", rows, () -> job(input));
        time(warmUp, "sql", rows, () -> sql(input, "ai_embed(text)"));
        time(warmUp, "udf", rows, () -> sql(input, "embed_row(text)"));
        int prompts = Files.readAllLines(words).size();
        String prompt = "concat(word, ':')";
        time(
            warmUp,
            "complete",
            prompts,
            () ->
                sql(
                    words,
                    "ai_complete("
                        + prompt
                        + ", options => map('max_new_tokens', '40', 'do_sample', 'true'))"));
        time(warmUp, "complete_udf", prompts, () -> sql(words, "complete_row(" + prompt + ")"));
      }
    }
    sums.forEach((side, sum) -> report.figure(side + "_rows_per_second", rate(side)));
    report.figure("sql_over_job", rate("sql") / rate("job"));
    report.figure("sql_over_udf", rate("sql") / rate("udf"));
    report.figure("complete_over_udf", rate("complete") / rate("complete_udf"));
    report.print();
  }

  private static OptionValues completion() {
    return OptionValues.parse(new Generate().data().options(), COMPLETION, new Problems());
  }

  private void time(boolean warmUp, String side, int rows, Spent.Work<IOException> work)
      throws IOException {
    double seconds = Spent.by(work).seconds();
    System.out.printf("sql: %s %,d rows in %.1f s%n", side, rows, seconds);
    if (!warmUp) {
      double[] sum = sums.computeIfAbsent(side, key -> new double[2]);
      sum[0] += rows;
      sum[1] += seconds;
    }
  }

  private double rate(String side) {
    double[] sum = sums.get(side);
    return sum[0] / sum[1];
  }

  private void job(Path input) throws IOException {
    Jobs.run(
        spark,
        JobSpec.of(new Embed())
            .with(JobOptions.INPUT, List.of(input.toString()))
            .with(JobOptions.MODEL, MINILM.toAbsolutePath().toString())
            .with(JobOptions.OUTPUT, output()),
        System.err);
  }

  private void sql(Path input, String call) {
    Dataset<Row> rows = spark.read().json(input.toString());
    // A function that works row at a time gets as many tasks as run at once, as the others do.
    if (!call.startsWith("ai_")) {
      rows = rows.repartition(spark.sparkContext().defaultParallelism());
    }
    rows.selectExpr("id", call + " AS result").write().parquet(output());
  }

  private String output() {
    return folder + "/out-" + System.nanoTime();
  }

  private static LoadedModel load(Path pack) throws IOException {
    return LoadedModel.load(
        PackStore.ofNode().fetch(pack.toAbsolutePath().toString(), new Configuration()),
        Device.cpu(),
        1);
  }

  private void register(
      String name,
      TaskDefinition definition,
      OptionValues options,
      LoadedModel model,
      DataType type) {
    @SuppressWarnings("unchecked") // it is given its own prepared rows only
    Task<Object, Object> task =
        (Task<Object, Object>)
            definition.open(model, options, new Budget(definition.data().budget().cpu()));
    RowAtATime.tasks.put(name, task);
    spark
        .udf()
        .register(name, new RowAtATime(name, definition.inputs(options).get(0).name()), type);
  }

  /** The same engine, its model loaded once for all tasks of the JVM. */
  private record RowAtATime(String name, String argument) implements UDF1<String, Object> {
    private static final Map<String, Task<Object, Object>> tasks = new ConcurrentHashMap<>();

    @Override
    public Object call(String text) throws Exception {
      Task<Object, Object> task = tasks.get(name);
      byte[][] values = {text.getBytes(StandardCharsets.UTF_8)};
      Object prepared = task.prepare(RowInput.of(List.of(argument), values, text.hashCode()));
      return task.values(task.infer(List.of(prepared)).get(0)).get(0).get(0);
    }
  }
}
