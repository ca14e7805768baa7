package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.TestJobs;
import io.lakegen.problem.Problems;
import io.lakegen.spark.LakegenFunctions;
import io.lakegen.task.Argument;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.caption.Caption;
import io.lakegen.task.classify.Classify;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.generate.Generate;
import io.lakegen.task.render.Render;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A query gives a row what the job gives it, bit for bit, with the packs of the demo. */
class SqlResultsTest {
  private static final Path SAMPLES = Path.of("../sample-data").toAbsolutePath().normalize();

  @TempDir Path folder;

  @BeforeAll
  static void register() {
    LakegenFunctions.register(TestJobs.spark());
  }

  static List<Arguments> tasks() {
    return List.of(
        Arguments.of(new Embed(), TestJobs.MINILM, "text/texts.jsonl", "text", 150, Map.of()),
        Arguments.of(
            new Classify(),
            SAMPLES.resolve("models/topics-distilbert"),
            "text/definitions.jsonl",
            "definition",
            63,
            Map.of("top-k", "3")),
        Arguments.of(
            new Generate(),
            SAMPLES.resolve("models/definitions-gpt2"),
            "prompts/words.jsonl",
            "word",
            40,
            Map.of("max-new-tokens", "12", "do-sample", "true", "num-return-sequences", "2")),
        Arguments.of(
            new Render(),
            SAMPLES.resolve("models/emoji-diffusion"),
            "prompts/pictures.jsonl",
            "prompt",
            3,
            // Three rows are two tasks; an image may differ in its last bits by its batch.
            Map.of("num-inference-steps", "3", "batch-budget", "1")));
  }

  /** Rows as text: of a floating-point number it has all the bits. */
  private static List<String> texts(Dataset<Row> rows) {
    return rows.collectAsList().stream().map(SqlResultsTest::text).sorted().toList();
  }

  private static String text(Row row) {
    List<String> values = new ArrayList<>();
    for (int i = 0; i < row.size(); i++) {
      values.add(
          row.get(i) instanceof byte[] bytes
              ? Base64.getEncoder().encodeToString(bytes)
              : String.valueOf(row.get(i)));
    }
    return String.join("|", values);
  }

  private Dataset<Row> job(
      TaskDefinition task, Map<String, String> options, Path pack, String input)
      throws IOException {
    Problems problems = new Problems();
    List<Option<?>> known = new ArrayList<>(task.data().allOptions());
    known.add(JobOptions.BATCH_BUDGET);
    OptionValues values = OptionValues.parse(known, options, problems);
    problems.throwIfAny();
    String output = folder + "/out";
    Jobs.run(
        TestJobs.spark(),
        new JobSpec(task, values)
            .with(JobOptions.INPUT, List.of(input))
            .with(JobOptions.MODEL, pack.toString())
            .with(JobOptions.OUTPUT, output),
        System.err);
    return TestJobs.rows(output);
  }

  private static String call(TaskDefinition task, String input, Path pack, Map<String, ?> options) {
    String map =
        options.entrySet().stream()
            .map(e -> "'" + e.getKey() + "', '" + e.getValue() + "'")
            .collect(Collectors.joining(", ", "map('result', 'struct', ", ")"));
    return task.function() + "(" + input + ", '" + pack + "', " + map.replace(", )", ")") + ")";
  }

  /**
   * The input has nothing but the argument, by its name: then the job's key is the call's. Sorted
   * rows stay in one partition, as in the job, and so in the same batches.
   */
  @ParameterizedTest
  @MethodSource("tasks")
  void aQueryHasTheJobsBits(
      TaskDefinition task,
      Path pack,
      String file,
      String column,
      int rows,
      Map<String, String> options)
      throws IOException {
    Argument argument = task.data().arguments().get(0);
    ObjectMapper json = new ObjectMapper();
    TreeSet<String> distinct = new TreeSet<>();
    for (String line : Files.readAllLines(SAMPLES.resolve(file)).subList(0, rows)) {
      distinct.add(json.readTree(line).path(column).asText());
    }
    List<String> lines = new ArrayList<>();
    for (String text : distinct) {
      lines.add(json.writeValueAsString(Map.of(argument.name(), text)));
    }
    Path input = Files.write(folder.resolve("in.jsonl"), lines);
    Dataset<Row> job = job(task, options, pack, input.toString());
    SparkSession spark = TestJobs.spark();
    spark
        .read()
        .json(input.toString())
        .sortWithinPartitions(argument.name())
        .createOrReplaceTempView("sorted");
    boolean isArray = options.containsKey("num-return-sequences");
    String call = call(task, argument.name(), pack, options);
    Dataset<Row> sql =
        spark.sql(
            "select r.* from (select "
                + (isArray ? "explode(" + call + ")" : call)
                + " r from sorted)");

    // The run's id is not the same; all the rest is.
    List<String> columns = new ArrayList<>(List.of(sql.columns()));
    columns.remove("lineage");
    for (String field : List.of("key", "model", "model_sha256", "params_sha256", "seed")) {
      columns.add("lineage." + field);
    }
    String[] all = columns.toArray(String[]::new);
    List<String> expected = texts(job.selectExpr(all));
    assertThat(expected).hasSize(distinct.size() * (isArray ? 2 : 1));
    assertThat(texts(sql.selectExpr(all))).isEqualTo(expected);
  }

  /** Captions do not depend on what shares a batch, so that partitions do not matter. */
  @Test
  void aQueryHasTheJobsCaptions() throws IOException {
    Path pack = SAMPLES.resolve("models/emoji-git");
    String pictures = SAMPLES + "/images/emoji/1f46*.png";
    Dataset<Row> job = job(new Caption(), Map.of(), pack, pictures);
    Dataset<Row> sql =
        TestJobs.spark()
            .read()
            .format("binaryFile")
            .load(pictures)
            .selectExpr("path", call(new Caption(), "content", pack, Map.of()) + " r");

    String file = "substring_index(path, '/', -1)";
    List<String> expected = texts(job.selectExpr(file, "caption", "token_count", "width"));
    assertThat(expected).hasSizeGreaterThan(30);
    assertThat(texts(sql.selectExpr(file, "r.caption", "r.token_count", "r.width")))
        .isEqualTo(expected);
  }
}
