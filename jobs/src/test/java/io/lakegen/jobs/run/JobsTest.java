package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.jobs.TestJobs;
import io.lakegen.model.Devices;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.task.Option;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.generate.Generate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Jobs from Java, as a notebook runs them. */
class JobsTest {
  @TempDir Path folder;

  private JobSpec embed() throws IOException {
    Path input = folder.resolve("in.jsonl");
    Files.writeString(
        input, "{\"text\": \"one\", \"other\": \"x\"}\n{\"text\": \" \", \"other\": \"y\"}\n");
    return JobSpec.of(new Embed())
        .with(JobOptions.INPUT, List.of(input.toString()))
        .with(JobOptions.MODEL, TestJobs.MINILM.toString())
        .with(JobOptions.OUTPUT, folder + "/out");
  }

  private String digest(JobSpec spec) {
    return Jobs.check(TestJobs.spark(), spec).paramsSha256();
  }

  @Test
  void runsAJobAndCountsItsRows() throws IOException {
    RunSummary summary = Jobs.run(TestJobs.spark(), embed(), System.err);
    assertThat(summary.input()).isEqualTo(2);
    assertThat(summary.ok()).isEqualTo(1);
    assertThat(summary.failed()).isEqualTo(1);
    assertThat(TestJobs.rows(folder + "/out").count()).isEqualTo(1);
    assertThat(TestJobs.outcomes(folder + "/out").count()).isEqualTo(2);
  }

  @Test
  void theDigestOfParametersIsThatOfWhatShapesRows() throws IOException {
    JobSpec spec = embed();
    Option<String> column = new Embed().data().arguments().get(0).column();
    String digest = digest(spec);
    // Where and how the work is done, and defaults that are spelled out, change nothing.
    assertThat(digest(spec.with(JobOptions.OUTPUT, folder + "/else"))).isEqualTo(digest);
    assertThat(digest(spec.with(JobOptions.BATCH_BUDGET, 7L))).isEqualTo(digest);
    assertThat(digest(spec.with(JobOptions.DEVICE, Devices.Choice.cpu))).isEqualTo(digest);
    assertThat(digest(spec.with(JobOptions.LIMIT, 1))).isEqualTo(digest);
    assertThat(digest(spec.with(column, "text"))).isEqualTo(digest);
    assertThat(digest(spec.with(JobOptions.SEED, 0L))).isEqualTo(digest);
    // Every row's lineage holds a seed that is made of the job's.
    assertThat(digest(spec.with(JobOptions.SEED, 1L))).isNotEqualTo(digest);
    assertThat(digest(spec.with(column, "other"))).isNotEqualTo(digest);
  }

  @Test
  void everyMistakeIsInOneException() throws IOException {
    JobSpec spec =
        JobSpec.of(new Generate())
            .with(JobOptions.INPUT, List.of(folder + "/none"))
            .with(JobOptions.MODEL, TestJobs.MINILM.toString());
    assertThatThrownBy(() -> Jobs.check(TestJobs.spark(), spec))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageContaining("is a pack for feature-extraction (expected: a pack for ")
        .hasMessageContaining("output: missing")
        .hasMessageContaining("/none (expected: a file, folder or glob");
  }

  @Test
  void theResultsOfOneJobAreTheInputOfTheNext() throws IOException {
    Jobs.run(TestJobs.spark(), embed(), System.err);
    JobSpec next = embed().with(JobOptions.INPUT, List.of(folder + "/out"));
    Jobs.run(TestJobs.spark(), next.with(JobOptions.OUTPUT, folder + "/next"), System.err);
    JobSpec third = embed().with(JobOptions.INPUT, List.of(folder + "/next"));
    Jobs.run(TestJobs.spark(), third.with(JobOptions.OUTPUT, folder + "/third"), System.err);
    Dataset<Row> rows = TestJobs.rows(folder + "/third").drop("run_id", "chunk");
    assertThat(rows.columns())
        .containsExactly(
            "other",
            "text",
            "input_input_embedding",
            "input_input_token_count",
            "input_input_truncated",
            "input_input_lineage",
            "input_embedding",
            "input_token_count",
            "input_truncated",
            "input_lineage",
            "embedding",
            "token_count",
            "truncated",
            "lineage");
    assertThat(
            rows.where("input_embedding = embedding and input_lineage.key <> lineage.key").count())
        .isEqualTo(1);
    List<String> keys = keys("/third");

    // The key depends on what the first jobs made, and not on when they did.
    Jobs.run(TestJobs.spark(), embed().with(JobOptions.OUTPUT, folder + "/again"), System.err);
    next = next.with(JobOptions.INPUT, List.of(folder + "/again"));
    Jobs.run(TestJobs.spark(), next.with(JobOptions.OUTPUT, folder + "/next-again"), System.err);
    assertThat(keys("/next-again")).isEqualTo(keys("/next")).isNotEqualTo(keys);
  }

  @Test
  void columnsAreSelectedOrDropped() throws IOException {
    Jobs.run(TestJobs.spark(), embed(), System.err);
    JobSpec next =
        embed()
            .with(JobOptions.INPUT, List.of(folder + "/out"))
            .with(JobOptions.SELECT, List.of("text"))
            .with(JobOptions.OUTPUT, folder + "/next");
    RunSummary summary = Jobs.run(TestJobs.spark(), next, System.err);
    assertThat(summary.ok()).isEqualTo(1);
    assertThat(TestJobs.rows(folder + "/next").drop("run_id", "chunk").columns())
        .containsExactly("text", "embedding", "token_count", "truncated", "lineage");

    // A row's key is made of the selected columns: what the first job wrote besides is no part.
    JobSpec plain =
        embed().with(JobOptions.SELECT, List.of("text")).with(JobOptions.OUTPUT, folder + "/plain");
    Jobs.run(TestJobs.spark(), plain, System.err);
    JobSpec dropped =
        embed().with(JobOptions.DROP, List.of("other")).with(JobOptions.OUTPUT, folder + "/drop");
    Jobs.run(TestJobs.spark(), dropped, System.err);
    assertThat(keys("/next"))
        .isEqualTo(keys("/plain"))
        .isEqualTo(keys("/drop"))
        .isNotEqualTo(keys("/out"));
    assertThat(digest(plain)).isNotEqualTo(digest(embed()));
    assertThat(digest(dropped)).isNotEqualTo(digest(embed()));
    assertThatThrownBy(
            () -> Jobs.check(TestJobs.spark(), plain.with(JobOptions.DROP, List.of("other"))))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageContaining("drop: other (expected: nothing beside --select");
  }

  private List<String> keys(String output) {
    return TestJobs.rows(folder + output).select("lineage.key").collectAsList().stream()
        .map(r -> r.getString(0))
        .toList();
  }

  @Test
  void selectedColumnsMustBeThere() throws IOException {
    JobSpec spec = embed().with(JobOptions.SELECT, List.of("othre"));
    assertThatThrownBy(() -> Jobs.check(TestJobs.spark(), spec))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageContaining(
            "select: othre is not in the input (expected: some of [other, text]; did you mean other?)")
        .hasMessageContaining("column: text is not in the input");
  }
}
