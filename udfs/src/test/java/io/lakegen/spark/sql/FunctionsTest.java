package io.lakegen.spark.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.batch.Timeouts;
import io.lakegen.model.Devices;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import io.lakegen.spark.CountersAccumulator;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.spark.Lakegen;
import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.PartitionScorer;
import io.lakegen.spark.RunParams;
import io.lakegen.spark.ScoringPlan;
import io.lakegen.task.Argument;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.answer.Answer;
import io.lakegen.task.caption.Caption;
import io.lakegen.task.classify.Classify;
import io.lakegen.task.decode.Decode;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.encode.Encode;
import io.lakegen.task.frames.NextFrame;
import io.lakegen.task.generate.Generate;
import io.lakegen.task.match.Match;
import io.lakegen.task.sample.Sample;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeProjection;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What calls give, and what is said of wrong ones. */
class FunctionsTest {
  private static final String TEXTS =
      "values ('one'), ('bad two'), (null), ('three'), ('one') as t(text)";

  private static final String FIXTURES =
      Path.of("../inference/src/test/resources/fixtures").toAbsolutePath().toString();

  private static SparkSession spark;

  @TempDir static Path folder;

  @BeforeAll
  static void start() {
    spark = QueryPlanTest.session(folder);
    spark.conf().set("spark.lakegen.models.gpt", FIXTURES + "/gpt2/pack");
    spark.conf().set("spark.lakegen.models.both", FIXTURES + "/clip-attention/pack");
    spark.conf().set("spark.lakegen.models.pairs", FIXTURES + "/distilbert-classification/pack");
  }

  @AfterAll
  static void stop() {
    spark.stop();
    ExecutorModels.close();
  }

  private static List<String> rows(String query) {
    return spark.sql(query).collectAsList().stream().map(Row::toString).toList();
  }

  @Test
  void aBadRowAndANullGiveNullsAndOrderIsKept() {
    assertThat(rows("select text, ai_shout(text) from " + TEXTS))
        .containsExactly(
            "[one,!one]", "[bad two,null]", "[null,null]", "[three,!three]", "[one,!one]");
  }

  @Test
  void anErrorIsAResultWhereItIsAskedFor() {
    List<String> found =
        rows(
            "select r.value, r.error.type from (select ai_shout(text, 'tiny', map('on_error',"
                + " 'struct')) r from "
                + TEXTS
                + ")");

    assertThat(found)
        .containsExactly(
            "[!one,null]", "[null,bad_text]", "[null,null]", "[!three,null]", "[!one,null]");
  }

  @Test
  void aQueryFailsOnABadRowWhereItShould() {
    assertThatThrownBy(
            () -> rows("select ai_shout(text, 'tiny', map('on_error', 'fail')) from " + TEXTS))
        .hasStackTraceContaining("ai_shout could not do a row: prepare, bad_text: bad two");
  }

  @Test
  void structHasTheJobsColumnsAndSeveralResultsAreAnArray() {
    Row struct =
        spark
            .sql("select ai_shout('a', 'tiny', map('result', 'struct')) r")
            .selectExpr("r.shouted", "r.lineage.seed = r.seed", "r.lineage.model is not null")
            .head();
    assertThat(struct.toString()).isEqualTo("[!a,true,true]");
    assertThat(rows("select ai_shout('a', 'tiny', map('num_times', 2))"))
        .containsExactly("[ArraySeq(!a, !a)]");
    assertThat(
            rows(
                "select x.sequence_index, x.shouted from (select explode(ai_shout('a', 'tiny',"
                    + " map('num_times', '2', 'result', 'struct'))) x)"))
        .containsExactly("[0,!a]", "[1,!a]");
  }

  @Test
  void aRowsSeedComesOfItsInputsWhateverThePartitions() {
    String seeds =
        "select text, ai_shout(text, 'tiny', map('result', 'struct', 'seed', '%d')).seed s from"
            + " (select /*+ repartition(%d) */ concat('t', id) text from range(20)) order by text";
    List<String> one = rows(String.format(seeds, 7, 1));

    assertThat(rows(String.format(seeds, 7, 5))).isEqualTo(one);
    assertThat(rows(String.format(seeds, 8, 5))).doesNotContainAnyElementsOf(one);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ai_shout() | arguments: 0 (expected: [text]",
        "ai_shout('a', 'tiny', map('num-tims', '2')) | did you mean num-times?",
        "ai_shout('a', 'tiny', map('num_times', 'x')) | num-times: x (expected: a whole number)",
        "ai_shout('a', 'tiny', map('num_times', '0')) | (expected: 1 or more)",
        "ai_shout('a', 'tiny', map('on_error', 'x')) | (expected: one of [NULL, fail, struct])",
        "ai_shout('a', 'no/such/pack') | model",
        "ai_shout(txt => 'a') | txt: unknown argument (expected: one of [text, model, options];"
            + " did you mean text?)",
        "ai_shout('a', text => 'b') | arguments: 2, [text] out of place (expected: [text], then",
        "ai_shout(text => 'a', text => 'b') | text: given twice (expected: one text)",
        "ai_shout(model => 'tiny') | arguments: 1 (expected: [text], then a model",
        "ai_shout(text => 'a', 'tiny') | 'tiny' (expected: no argument by position after one by"
            + " name)",
        "ai_shout('a', options => 'x') | options: 'x' (expected: a constant map('name', 'value',"
            + " ...))",
        "ai_shout('a', concat('a', id)) | (expected: a constant text",
        "ai_shout('a', 'tiny', map('seed', cast(id as string))) | (expected: a constant map",
        "ai_embed('a') | missing (expected: the URI of a model pack as an argument, or in"
            + " spark.lakegen.default.embed)",
        "ai_embed('a', 'both', map('attention', 'true')) | attention: true (expected: images;",
        "ai_caption('a.png', 'tiny') | (expected: the bytes of an image file",
        "ai_caption(cast('a' as binary), 'tiny') | (expected: a pack for [image-to-text])",
        "ai_classify(cast('a' as binary), 'tiny') | (expected: a pack for [text-classification,",
        "ai_answer('a', 'tiny') | question: missing (expected: --question TEXT or",
        "ai_answer('a', cast('a' as binary), 'tiny') | of type binary (expected: a text)",
        "ai_match(cast('a' as binary), 'tiny') | model: missing (expected: the URI",
        "ai_match('a.png', 'a boat', 'tiny') | image: 'a.png' of type string (expected: the bytes",
        "ai_match(cast('a' as binary), cast('a' as binary), 'tiny') | (expected: a text)",
        "ai_complete('a', 'tiny', map('template', '{b}')) | column b (expected: none but the"
            + " arguments, [prompt]"
      })
  void aWrongCallIsAnAnalysisException(String call, String message) {
    assertThatThrownBy(() -> spark.sql("select " + call + " from range(3)"))
        .isInstanceOf(org.apache.spark.sql.AnalysisException.class)
        .hasMessageContaining(message)
        // Python's side of Spark looks the message up by it.
        .extracting(e -> ((org.apache.spark.SparkThrowable) e).getCondition())
        .isNotNull();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ai_shout(text => 'a') | !a",
        "ai_shout('a', model => 'tiny') | !a",
        "ai_shout(Options => map('result', 'struct'), text => 'a').shouted | !a",
        "ai_shout('a', 'tiny', options => map()) | !a",
        "ai_classify(text_pair => 'b', text => 'a', model => 'pairs') is not null | true",
        "ai_classify('a', model => 'pairs') is not null | true",
        "ai_similarity(b => array(4F, 3F), a => array(3F, 4F)) | 0.96",
      })
  void argumentsHaveNames(String call, String result) {
    assertThat(rows("select " + call)).containsExactly("[" + result + "]");
  }

  @Test
  void anOptionIsReadAsItWasGivenWhateverTheOthersTypes() {
    assertThat(rows("select ai_shout('a', 'tiny', map('num_times', 2, 'on_error', 'null'))"))
        .containsExactly("[ArraySeq(!a, !a)]");
    assertThat(
            rows(
                "select ai_complete('a', 'gpt', map('repetition_penalty', 1.5, 'max_new_tokens', 3)) is not null"))
        .containsExactly("[true]");
    assertThat(
            rows(
                "select ai_shout('a', 'tiny',"
                    + " map_from_arrays(array('num_times'), array('2')))"))
        .containsExactly("[ArraySeq(!a, !a)]");
  }

  private static ModelScoringExec scoring(org.apache.spark.sql.execution.SparkPlan plan) {
    return plan instanceof ModelScoringExec found ? found : scoring(plan.children().apply(0));
  }

  @Test
  void metricsCountRowsAndNothingElseWhenALimitStopsEarly() {
    spark.conf().set("spark.sql.adaptive.enabled", "false");
    Dataset<Row> some =
        spark
            .range(0, 4000, 1, 1)
            .selectExpr(
                "id",
                "case when id = 300 then 'bad' when id % 100 = 0 then concat('m', id) end text")
            .sortWithinPartitions("id")
            .selectExpr("id", "ai_shout(text) a")
            .where("a is not null")
            .limit(4);
    long before = Shout.SEEN.get();
    assertThat(some.collectAsList().stream().map(Row::toString))
        .containsExactly("[0,!m0]", "[100,!m100]", "[200,!m200]", "[400,!m400]");

    ModelScoringExec operator =
        scoring(((org.apache.spark.sql.classic.Dataset<Row>) some).queryExecution().executedPlan());
    assertThat(operator.longMetric("failed").value()).isEqualTo(1);
    // Some more rows were scored than the limit took.
    assertThat(operator.longMetric("rows").value()).isBetween(5L, Shout.SEEN.get() - before + 1);
  }

  @Test
  void onlyTheFieldsThatACallReadsAreRead() {
    spark
        .range(5)
        .selectExpr("named_struct('x', concat('f', id), 'y', id) st", "id")
        .write()
        .parquet(folder + "/structs");
    String plan =
        spark
            .sql("explain select ai_shout(st.x) from parquet.`" + folder + "/structs`")
            .head()
            .getString(0);
    assertThat(plan).contains("ReadSchema: struct<st:struct<x:string>>");
  }

  @Test
  void theModelTellsWhetherTextsOrPicturesAreWanted() {
    String call = "select ai_classify(%s, '" + FIXTURES + "/%s/pack')";
    assertThatThrownBy(
            () -> rows(String.format(call, "cast('a' as binary)", "bert-classification")))
        .hasMessageContaining("of type binary (expected: a text)");
    assertThatThrownBy(() -> rows(String.format(call, "'a'", "vit-classes")))
        .hasMessageContaining("image: 'a' of type string (expected: the bytes of an image file");
  }

  @Test
  void callsThatCannotBeBatchedAreRefused() {
    assertThatThrownBy(() -> rows("select transform(array('a'), x -> ai_shout(x))"))
        .hasMessageContaining("a call in a lambda function");
    assertThatThrownBy(
            () ->
                rows(
                    "select * from range(3) a left join range(3) b on"
                        + " ai_shout(concat(a.id, ' ', b.id)) = 'x'"))
        .hasMessageContaining("a call over both sides in the condition of a join");
  }

  @Test
  void functionsDescribeThemselvesAndPlansNameModelAndOptions() {
    assertThat(String.join("\n", rows("describe function extended ai_classify")))
        .contains("ai_classify(text, [text_pair, model, options])", "top-k", "on-error");
    String plan =
        spark
            .sql(
                "explain select ai_shout(cast(id as string), 'tiny', map('num_times', 2)) from"
                    + " range(3)")
            .head()
            .getString(0);
    assertThat(plan).contains("ModelScoring ai_shout(", "model=", "device=auto", "num-times=2");
  }

  @Test
  void aPermanentViewAndCommandsMayCall() {
    spark.sql("create table texts using parquet as select concat('t', id) text from range(9)");
    spark.sql("create view loud as select text, ai_shout(text) l from texts");
    long before = Shout.SEEN.get();
    spark.sql("create table kept using parquet as select * from loud");
    spark.sql("insert into kept select text, ai_shout(text) from texts");

    assertThat(rows("select count(*), count(distinct l) from kept")).containsExactly("[18,9]");
    assertThat(Shout.SEEN.get() - before).isEqualTo(18);
  }

  @Test
  void aStreamIsScoredOnce() throws Exception {
    String source = folder + "/stream";
    spark.range(12).selectExpr("concat('s', id) text").write().json(source);
    long before = Shout.SEEN.get();
    spark
        .readStream()
        .schema("text string")
        .json(source)
        .selectExpr("ai_shout(text) l")
        .where("l != '!s3'")
        .writeStream()
        .format("memory")
        .queryName("streamed")
        .trigger(org.apache.spark.sql.streaming.Trigger.AvailableNow())
        .option("checkpointLocation", folder + "/checkpoint")
        .start()
        .awaitTermination();

    assertThat(rows("select count(*), min(l) from streamed")).containsExactly("[11,!s0]");
    assertThat(Shout.SEEN.get() - before).isEqualTo(12);
  }

  @Test
  void aCachedResultIsScoredOnce() {
    Dataset<Row> cached = spark.sql("select ai_shout(concat('c', id)) l from range(40)").cache();
    long before = Shout.SEEN.get();
    cached.count();
    cached.collectAsList();
    cached.filter("l = '!c3'").collectAsList();

    assertThat(Shout.SEEN.get() - before).isEqualTo(40);
    cached.unpersist();
  }

  @Test
  void rowsOfALimitAreSpreadOverTasksAgain() {
    long before = Shout.SEEN.get();
    Dataset<Row> some = spark.sql("select ai_shout(concat('l', id)) l from range(5000) limit 1500");
    assertThat(some.collectAsList()).hasSize(1500);

    assertThat(Shout.SEEN.get() - before).isEqualTo(1500);
    assertThat(partitions(some)).isEqualTo(2);
  }

  private static int partitions(Dataset<Row> rows) {
    return ((org.apache.spark.sql.classic.Dataset<Row>) rows)
        .queryExecution()
        .toRdd()
        .getNumPartitions();
  }

  @Test
  void fewPartitionsAreSpreadAndSortedRowsAreNot() {
    Dataset<Row> texts = spark.range(40).selectExpr("concat('p', id) text", "id").repartition(1);
    assertThat(partitions(texts.selectExpr("ai_shout(text)"))).isEqualTo(2);
    assertThat(partitions(texts.sortWithinPartitions("id").selectExpr("ai_shout(text)")))
        .isEqualTo(1);
    assertThat(partitions(texts.distinct().selectExpr("ai_shout(text)"))).isEqualTo(2);
    assertThat(partitions(spark.sql("select ai_shout('a')"))).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource({"'', 3000", "limit 1500, 1500", "limit 1000 offset 300, 1000", "limit 100, 100"})
  void sortedRowsAreScoredOnceAndManyOfThemInSeveralTasks(String limit, int rows) {
    spark.conf().set("spark.sql.adaptive.enabled", "false");
    String query = "select id, %s l from range(0, 3000, 1, 2) order by -id " + limit;
    Dataset<Row> sorted = spark.sql(String.format(query, "ai_shout(concat('o', id))"));
    List<String> expected = rows(String.format(query, "concat('!o', id)"));
    long before = Shout.SEEN.get();

    assertThat(sorted.collectAsList().stream().map(Row::toString))
        .containsExactlyElementsOf(expected);
    assertThat(Shout.SEEN.get() - before).isEqualTo(rows);
    ModelScoringExec operator =
        scoring(
            ((org.apache.spark.sql.classic.Dataset<Row>) sorted).queryExecution().executedPlan());
    assertThat(operator.child().outputPartitioning().numPartitions() > 1).isEqualTo(rows > 256);
  }

  @Test
  void cancellingAQueryStopsTheDevice() throws Exception {
    Shout.pause = 50;
    try {
      long before = Shout.SEEN.get();
      spark.sparkContext().setJobGroup("to-cancel", "a long query", true);
      Thread query =
          new Thread(
              () -> {
                spark.sparkContext().setJobGroup("to-cancel", "a long query", true);
                try {
                  spark
                      .sql("select ai_shout(concat('k', id)) l from range(100000)")
                      .write()
                      .format("noop")
                      .mode("overwrite")
                      .save();
                } catch (RuntimeException e) {
                  // It is cancelled.
                }
              });
      query.start();
      while (Shout.SEEN.get() == before) {
        Thread.sleep(10);
      }
      spark.sparkContext().cancelJobGroup("to-cancel");
      query.join();
      while (Shout.INSIDE.get() > 0) {
        Thread.sleep(10);
      }
      long stopped = Shout.SEEN.get();
      Thread.sleep(300);

      assertThat(Shout.SEEN.get()).isEqualTo(stopped).isLessThan(before + 100_000);
    } finally {
      Shout.pause = 0;
      spark.sparkContext().clearJobGroup();
    }
  }

  /** A table of texts, or of pictures, in one partition; sorted, since others are spread. */
  private static Dataset<Row> inputs(TaskDefinition task) throws IOException {
    String argument = task.data().arguments().get(0).name();
    Dataset<Row> pictures =
        spark.read().format("binaryFile").load(FIXTURES + "/git/images").coalesce(1);
    if (argument.equals("frames")) {
      return pictures.selectExpr("array(content, content) frames").sortWithinPartitions(argument);
    }
    if (!argument.equals("image")) {
      String value =
          switch (argument) {
            case "seed" -> "string(id)";
            case "latents" -> "transform(sequence(1, 6), i -> float(sin(i * id)))";
            default -> "concat(repeat('the lake and the boat ', cast(1 + id % 7 as int)), id)";
          };
      return spark
          .range(0, 60, 1, 1)
          .selectExpr(value + " " + argument)
          .sortWithinPartitions(argument);
    }
    return pictures
        .selectExpr("content image", "concat('a lake of ', length, ' boats') text")
        .select(
            task.data().arguments().stream()
                .filter(a -> List.of("image", "text").contains(a.name()))
                .map(a -> org.apache.spark.sql.functions.col(a.name()))
                .toArray(org.apache.spark.sql.Column[]::new))
        .sortWithinPartitions("image");
  }

  private static List<InternalRow> job(
      TaskDefinition task, OptionValues options, String pack, Dataset<Row> input)
      throws IOException {
    ModelPack found = PackStore.ofNode().fetch(pack, new Configuration());
    List<String> columns = List.of(input.columns());
    ScoringPlan plan =
        new ScoringPlan(
            task,
            options,
            task.inputs(options),
            pack,
            found.spec().source().id(),
            found.sha256(),
            found.spec().engine(),
            Devices.Choice.auto,
            1,
            1,
            0,
            Timeouts.NONE,
            input.schema(),
            columns,
            List.of(),
            0,
            RunParams.sha256(RunParams.of(task, options, 0)),
            spark.sparkContext().applicationId(),
            new SerializableConfiguration(new Configuration()));
    CountersAccumulator counters = new CountersAccumulator();
    spark.sparkContext().register(counters, "counters");
    return ((org.apache.spark.sql.classic.Dataset<Row>) input)
        .queryExecution()
        .toRdd()
        .toJavaRDD()
        .mapPartitions(new PartitionScorer(plan, counters))
        .collect();
  }

  static List<Arguments> tasks() {
    return List.of(
        Arguments.of(new Embed(), "bert", Map.of()),
        Arguments.of(new Classify(), "distilbert-classification", Map.of()),
        Arguments.of(new Classify(Argument.Kind.IMAGE), "vit-classes", Map.of("column", "image")),
        Arguments.of(new Embed(Argument.Kind.IMAGE), "clip", Map.of("column", "image")),
        Arguments.of(new Answer(), "bert-answers", Map.of("question", "What?", "top-k", "2")),
        Arguments.of(new Generate(), "gpt2", Map.of("max-new-tokens", "6", "do-sample", "true")),
        Arguments.of(new Encode(), "autoencoder-kl", Map.of()),
        Arguments.of(new Decode(), "vae", Map.of()),
        Arguments.of(new Sample(), "dcgan", Map.of("score", "true")),
        Arguments.of(new NextFrame(), "next-frame", Map.of("num-frames", "2")),
        Arguments.of(new Match(), "blip-matching", Map.of("heat-map", "true", "overlay", "16")),
        Arguments.of(new Caption(), "git", Map.of("max-new-tokens", "6")));
  }

  @ParameterizedTest
  @MethodSource("tasks")
  void resultsHaveTheJobsBits(TaskDefinition task, String fixture, Map<String, String> options)
      throws IOException {
    String pack = FIXTURES + "/" + fixture + "/pack";
    Dataset<Row> input = inputs(task);
    Problems problems = new Problems();
    OptionValues values = OptionValues.parse(task.data().allOptions(), options, problems);
    problems.throwIfAny();
    List<InternalRow> job = job(task, values, pack, input);

    Dataset<Row> sql = Lakegen.apply(task, input, new Lakegen.Spec(pack, options));
    List<InternalRow> found =
        ((org.apache.spark.sql.classic.Dataset<Row>) sql.drop(input.columns()))
            .queryExecution()
            .toRdd()
            .toJavaRDD()
            .map(InternalRow::copy)
            .collect();
    StructType schema = OutputSchema.of(new StructType(), List.of(), task.results(values));
    assertThat(bytes(found, sql.drop(input.columns()).schema(), schema))
        .containsExactlyElementsOf(bytes(job, schema, schema));
  }

  /** Rows as bytes, their columns in a schema's order. */
  private static List<UnsafeRow> bytes(List<InternalRow> rows, StructType is, StructType as) {
    UnsafeProjection projection = UnsafeProjection.create(as);
    List<UnsafeRow> all = new ArrayList<>();
    for (InternalRow row : rows) {
      Object[] values = new Object[as.length()];
      for (int i = 0; i < values.length; i++) {
        int at = is.fieldIndex(as.apply(i).name());
        values[i] = row.isNullAt(at) ? null : row.get(at, as.apply(i).dataType());
      }
      all.add(projection.apply(new GenericInternalRow(values)).copy());
    }
    return all;
  }

  @Test
  void aDatasetGetsTheJobsColumnsAndBadRowsKeepTheirs() {
    Dataset<Row> prompts =
        spark.sql("select * from values (1, 'a boat'), (2, '') as t(id, `the prompt`)").coalesce(1);
    Lakegen.Spec spec =
        Lakegen.Spec.of(FIXTURES + "/gpt2/pack")
            .with("column", "`the prompt`")
            .with("max-new-tokens", 3)
            .with("do-sample", true)
            .with("num-return-sequences", 2);
    Dataset<Row> texts = Lakegen.generate(prompts, spec);
    assertThat(texts.columns())
        .startsWith("id", "the prompt", "text")
        .contains("sequence_index", "lineage")
        .endsWith("error");
    assertThat(
            texts
                .selectExpr("id", "sequence_index", "text is null", "error.type")
                .collectAsList()
                .stream()
                .map(Row::toString))
        .containsExactlyInAnyOrder(
            "[1,0,false,null]", "[1,1,false,null]", "[2,null,true,empty_text]");
    assertThatThrownBy(() -> Lakegen.generate(texts, spec))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageContaining("input column: text (expected: none of the columns that are added");
    assertThatThrownBy(() -> Lakegen.generate(prompts, spec.with("max-new-token", 3)))
        .isInstanceOf(org.apache.spark.sql.AnalysisException.class)
        .hasMessageContaining("did you mean max-new-tokens?");
  }

  @Test
  void similarityIsTheCosine() {
    assertThat(rows("select ai_similarity(array(3F, 4F), array(4.0D, 3.0D))"))
        .containsExactly("[0.96]");
    assertThat(rows("select ai_similarity(array(0F), array(1F)), ai_similarity(null, array(1F))"))
        .containsExactly("[null,null]");
    assertThatThrownBy(() -> rows("select ai_similarity(array(1F), array(1F, 2F))"))
        .hasStackTraceContaining("vectors of 1 and 2 numbers");
    assertThatThrownBy(() -> rows("select ai_similarity(array(1F))"))
        .isInstanceOf(org.apache.spark.sql.AnalysisException.class)
        .hasMessageContaining("`ai_similarity`");
    assertThat(
            rows(
                "select ai_similarity(ai_embed('a boat', 'tiny'), ai_embed('a boat', 'tiny')) >"
                    + " 0.999"))
        .containsExactly("[true]");
  }
}
