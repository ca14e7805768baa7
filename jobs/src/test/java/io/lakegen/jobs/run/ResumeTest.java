package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.input.InputFormat;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.spark.ExecutorModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The oracle after everything: each input row is in the output once, as a result or an error. */
class ResumeTest {
  @TempDir Path folder;

  @BeforeEach
  void start() {
    LengthTask.INFERRED.set(0);
    LengthTask.BROKEN.clear();
    LengthTask.healed = false;
  }

  /** A new executor, as it were: this one has fenced its device. */
  private static void mend() {
    LengthTask.BROKEN.clear();
    ExecutorModels.close();
  }

  private static List<String> texts(int from, int to) {
    return IntStream.range(from, to)
        .mapToObj(i -> "text " + i + (i % 10 == 3 ? " bad" : ""))
        .toList();
  }

  private Path write(String name, List<String> texts) throws IOException {
    Files.createDirectories(folder.resolve("in"));
    return Files.write(folder.resolve("in/" + name), texts);
  }

  private JobSpec spec() {
    return JobSpec.of(new LengthTask())
        .with(JobOptions.INPUT, List.of(folder + "/in"))
        .with(JobOptions.MODEL, LengthMain.PACK.toString())
        .with(JobOptions.OUTPUT, folder + "/out")
        .with(JobOptions.COMMIT_EVERY, CommitEvery.parse("20"));
  }

  private static RunSummary run(JobSpec spec) throws IOException {
    return Jobs.run(TestJobs.spark(), spec, System.err);
  }

  private void assertHolds(List<String> texts) throws IOException {
    List<String> good =
        TestJobs.rows(folder + "/out").select("text").collectAsList().stream()
            .map(r -> r.getString(0))
            .toList();
    List<String> bad =
        TestJobs.errors(folder + "/out")
            .map(e -> e.select("text").collectAsList().stream().map(r -> r.getString(0)).toList())
            .orElse(List.of());
    assertThat(good).noneMatch(t -> t.contains("bad") && !LengthTask.healed);
    assertThat(Stream.concat(good.stream(), bad.stream()))
        .containsExactlyInAnyOrderElementsOf(texts);
    try (Stream<Path> left = Files.list(folder.resolve("out/_lakegen"))) {
      assertThat(left.map(p -> p.getFileName().toString()).filter(n -> !n.startsWith(".")))
          .containsExactly("commits");
    }
  }

  @Test
  void aRunCommitsInChunksAndTheSameCommandDoesNothingMore() throws IOException {
    write("a.txt", texts(0, 100));
    RunSummary first = run(spec());
    assertThat(first.input()).isEqualTo(100);
    assertThat(first.ok()).isEqualTo(90);
    assertThat(first.errors()).containsEntry("prepare/bad_text", 10L);
    List<JsonNode> commits = TestJobs.commits(folder + "/out");
    assertThat(commits).hasSizeGreaterThan(7);
    assertThat(commits)
        .allSatisfy(c -> assertThat(c.path("counts").path("input").asInt()).isLessThan(16));
    assertHolds(texts(0, 100));

    RunSummary again = run(spec());
    assertThat(again.skipped()).isEqualTo(100);
    assertThat(again.input()).isEqualTo(100);
    assertThat(TestJobs.commits(folder + "/out")).hasSameSizeAs(commits);
    assertThat(LengthTask.INFERRED.get()).isEqualTo(90);
    assertHolds(texts(0, 100));
  }

  @Test
  void newAndChangedFilesAreTheNextRunsWork() throws IOException {
    write("a.txt", texts(0, 30));
    write("b.txt", texts(30, 60));
    run(spec());
    write("c.txt", texts(60, 90));
    Path changed = write("b.txt", texts(130, 160));
    Files.setLastModifiedTime(
        changed, FileTime.fromMillis(Files.getLastModifiedTime(changed).toMillis() + 5000));
    LengthTask.INFERRED.set(0);
    RunSummary second = run(spec());
    assertThat(second.ok() + second.failed()).isEqualTo(60);
    assertThat(LengthTask.INFERRED.get()).isEqualTo(54);
    // What stood in the file before is history, and stays.
    assertHolds(Stream.of(texts(0, 90), texts(130, 160)).flatMap(List::stream).toList());
  }

  @ParameterizedTest
  @EnumSource(
      value = InputFormat.class,
      names = {"text", "jsonl", "csv", "parquet"})
  void aRunThatDiedIsGoneOnWithWhereItStood(InputFormat format) throws IOException {
    List<String> texts = texts(0, 100);
    input(format, texts);
    LengthTask.BROKEN.add("text 70");
    assertThatThrownBy(() -> run(spec())).hasStackTraceContaining("golden inputs fail");
    long committed =
        TestJobs.commits(folder + "/out").stream()
            .mapToLong(c -> c.path("counts").path("input").asLong())
            .sum();
    assertThat(committed).isBetween(40L, 70L);
    mend();
    LengthTask.INFERRED.set(0);
    RunSummary second = run(spec());
    assertThat(second.skipped()).isEqualTo(committed);
    assertThat(second.input()).isEqualTo(100);
    assertThat(LengthTask.INFERRED.get()).isLessThanOrEqualTo(100 - committed);
    assertHolds(texts);
  }

  private void input(InputFormat format, List<String> texts) throws IOException {
    switch (format) {
      case text -> write("a.txt", texts);
      case jsonl -> write("a.jsonl", texts.stream().map(t -> "{\"text\":\"" + t + "\"}").toList());
      case csv -> {
        // A file of CSV is committed as a whole.
        for (int i = 0; i < texts.size(); i += 10) {
          List<String> lines = new ArrayList<>(List.of("text"));
          lines.addAll(texts.subList(i, i + 10));
          write(String.format("%03d.csv", i), lines);
        }
      }
      default -> {
        Dataset<Row> rows =
            TestJobs.spark()
                .createDataset(texts, org.apache.spark.sql.Encoders.STRING())
                .toDF("text")
                .coalesce(1);
        rows.write().option("parquet.block.row.count.limit", 10).parquet(folder + "/in");
      }
    }
  }

  @Test
  void otherOptionsOrAnotherModelAreRefusedWithTheDifference() throws IOException {
    write("a.txt", texts(0, 30));
    run(spec());
    assertThatThrownBy(() -> run(spec().with(LengthTask.FACTOR, 3).with(JobOptions.SEED, 7L)))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageContaining(
            "factor: 3 (expected: 1, as in the rows that the output holds; --mode overwrite, or another output)")
        .hasMessageContaining("seed: 7 (expected: 0, as in");
    assertThatThrownBy(() -> run(spec().with(JobOptions.MODEL, TestJobs.MINILM.toString())))
        .hasMessageContaining("model: Xenova/all-MiniLM-L6-v2 with digest ");
    assertThatThrownBy(() -> run(spec().with(JobOptions.LIMIT, 3)))
        .hasMessageContaining(
            "limit: 3 (expected: a limited run goes to an output of its own, or --mode overwrite)");
  }

  @Test
  void overwritingShowsTheOldRowsUntilAllNewOnesAreThere() throws IOException {
    write("a.txt", texts(0, 100));
    run(spec());
    JobSpec other = spec().with(LengthTask.FACTOR, 2).with(JobOptions.MODE, Mode.overwrite);
    LengthTask.BROKEN.add("text 70");
    assertThatThrownBy(() -> run(other)).hasStackTraceContaining("golden inputs fail");
    Dataset<Row> rows = TestJobs.rows(folder + "/out");
    assertThat(rows.where("length != length(text)").count()).isZero();
    assertThat(rows.count()).isEqualTo(90);
    mend();
    LengthTask.INFERRED.set(0);
    RunSummary second = run(other);
    assertThat(second.skipped()).isBetween(40L, 70L);
    assertThat(LengthTask.INFERRED.get()).isLessThan(60);
    assertThat(TestJobs.rows(folder + "/out").where("length != 2 * length(text)").count()).isZero();
    assertHolds(texts(0, 100));
    assertThat(run(spec().with(LengthTask.FACTOR, 2)).skipped()).isEqualTo(100);
  }

  @Test
  void aFurtherColumnOfNewFilesIsAddedAndOthersKeepTheirType() throws IOException {
    write("a.jsonl", List.of("{\"text\":\"one\",\"n\":1}"));
    run(spec());
    write(
        "b.jsonl",
        List.of("{\"text\":\"two\",\"n\":2,\"m\":true}", "{\"text\":\"three\",\"n\":2.5}"));
    RunSummary second = run(spec());
    assertThat(second.ok()).isEqualTo(1);
    assertThat(second.errors()).containsEntry("read/malformed_json", 1L);
    Dataset<Row> all =
        TestJobs.spark().read().option("mergeSchema", "true").parquet(folder + "/out");
    assertThat(all.where("text = 'two'").select("n", "m").first().toString()).isEqualTo("[2,true]");
    assertThat(all.where("text = 'one'").select("n", "m").first().toString()).isEqualTo("[1,null]");
  }

  @Test
  void aSecondRunIsRefusedWhileTheFirstIsAlive() throws IOException {
    write("a.txt", texts(0, 10));
    RunOutput output =
        RunOutput.open(folder + "/out", TestJobs.spark().sparkContext().hadoopConfiguration());
    try (Lease lease = output.lease("first")) {
      assertThat(lease).isNotNull();
      assertThatThrownBy(() -> run(spec()))
          .isInstanceOf(InvalidArgumentsException.class)
          .hasMessageContaining(
              "(expected: a folder that no run writes to; run first of process "
                  + ProcessHandle.current().pid());
      assertThatThrownBy(() -> output.lease("second"))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("run first of process");
    }
    assertThat(run(spec()).input()).isEqualTo(10);
  }

  @Test
  void errorsAreTriedAgainAndWhatIsGoodNowIsInTheOutputOnce() throws IOException {
    List<String> texts = new ArrayList<>(texts(0, 100));
    // Equal rows: each counts.
    texts.addAll(List.of("text 3 bad", "text 3 bad", "text 4"));
    write("a.jsonl", texts.stream().map(t -> "{\"text\":\"" + t + "\"}").toList());
    write("b.jsonl", List.of("{broken", "{\"text\":\"bad b\"}"));
    run(spec());
    long errors = TestJobs.errors(folder + "/out").orElseThrow().count();
    assertThat(errors).isEqualTo(14);
    LengthTask.INFERRED.set(0);
    RunSummary useless = run(spec().with(JobOptions.RETRY_ERRORS, true));
    assertThat(useless.input()).isEqualTo(14);
    assertThat(useless.failed()).isEqualTo(14);
    assertThat(TestJobs.errors(folder + "/out").orElseThrow().count()).isEqualTo(14);

    LengthTask.healed = true;
    RunSummary healed = run(spec().with(JobOptions.RETRY_ERRORS, true));
    assertThat(healed.ok()).isEqualTo(13);
    assertThat(healed.failed()).isEqualTo(1);
    assertThat(LengthTask.INFERRED.get()).isEqualTo(13);
    List<String> good =
        TestJobs.rows(folder + "/out").select("text").collectAsList().stream()
            .map(r -> r.getString(0))
            .toList();
    texts.add("bad b");
    assertThat(good).containsExactlyInAnyOrderElementsOf(texts);
    List<Row> left =
        TestJobs.errors(folder + "/out").orElseThrow().select("error.type").collectAsList();
    assertThat(left).hasSize(1);
    assertThat(left.get(0).getString(0)).isEqualTo("malformed_json");

    OutputStatus status = OutputStatus.of(TestJobs.spark(), folder + "/out");
    assertThat(status.counts()).isEqualTo(new Commit.Counts(105, 104, 1, 104));
    assertThat(status.left()).isEqualTo(new OutputStatus.Left(0, 0));
    assertThat(status.errors()).hasSize(1);
    assertThat(status.errors().get(0).type()).isEqualTo("read/malformed_json");
    assertThat(status.errors().get(0).examples().get(0))
        .startsWith("the line is not a JSON object: {broken (file:");
    assertThat(status.lines())
        .contains("  in all: 105 input = 104 ok + 1 failed", "  left: nothing");
  }

  @Test
  void rowsOfRewrittenFilesAreSkippedByTheirKeys() throws IOException {
    List<String> texts = new ArrayList<>(texts(0, 50));
    texts.add("text 1");
    write("a.txt", texts);
    run(spec());
    Files.delete(folder.resolve("in/a.txt"));
    // The same rows in other files, one of them a third time, and a new one.
    write("b.txt", Stream.concat(texts(20, 50).stream(), Stream.of("text 1", "text 1")).toList());
    write("c.txt", Stream.concat(texts(0, 20).stream(), Stream.of("new")).toList());
    LengthTask.INFERRED.set(0);
    RunSummary second = run(spec().with(JobOptions.SKIP_KEYS, true));
    // Error rows are no results: those are tried again.
    assertThat(second.ok()).isEqualTo(2);
    assertThat(second.failed()).isEqualTo(5);
    assertThat(LengthTask.INFERRED.get()).isEqualTo(2);
    List<String> good =
        TestJobs.rows(folder + "/out").select("text").collectAsList().stream()
            .map(r -> r.getString(0))
            .toList();
    List<String> expected =
        new ArrayList<>(texts.stream().filter(t -> !t.contains("bad")).toList());
    expected.addAll(List.of("text 1", "new"));
    assertThat(good).containsExactlyInAnyOrderElementsOf(expected);
  }

  @Test
  void aCrashBetweenTheEntryAndTheMoveIsMended() throws IOException {
    write("a.txt", texts(0, 100));
    run(spec());
    String runId = TestJobs.commits(folder + "/out").get(0).path("run_id").asText();
    // As a driver leaves them that dies after an entry was written.
    for (String kind : List.of("", "_errors/")) {
      Path published = folder.resolve("out/" + kind + "run_id=" + runId + "/chunk=2");
      Path staged =
          folder.resolve(
              "out/_lakegen/staging/" + runId + "-2/" + kind + "run_id=" + runId + "/chunk=2");
      Files.createDirectories(staged.getParent());
      Files.move(published, staged);
    }
    // And what it had begun: a chunk without an entry.
    Path begun = folder.resolve("out/_lakegen/staging/" + runId + "-99/run_id=" + runId);
    Files.createDirectories(begun);
    Files.writeString(begun.resolve("part.parquet"), "half");
    Path strange = folder.resolve("out/run_id=" + runId + "/chunk=98");
    Files.createDirectories(strange);
    Files.writeString(strange.resolve("part.parquet"), "half");
    LengthTask.INFERRED.set(0);
    assertThat(run(spec()).skipped()).isEqualTo(100);
    assertThat(LengthTask.INFERRED.get()).isZero();
    assertHolds(texts(0, 100));
  }

  @Test
  void aCrashWhileOldRowsAreReplacedIsMended() throws IOException {
    write("a.txt", texts(0, 50));
    run(spec());
    String old = TestJobs.commits(folder + "/out").get(0).path("run_id").asText();
    JobSpec other = spec().with(LengthTask.FACTOR, 2);
    run(other.with(JobOptions.MODE, Mode.overwrite));
    List<JsonNode> commits = TestJobs.commits(folder + "/out");
    String now = commits.get(commits.size() - 1).path("run_id").asText();
    Files.createDirectories(folder.resolve("out/_lakegen/pending"));
    Files.move(
        folder.resolve("out/run_id=" + now), folder.resolve("out/_lakegen/pending/run_id=" + now));
    Files.createDirectories(folder.resolve("out/run_id=" + old + "/chunk=0"));
    Files.writeString(folder.resolve("out/run_id=" + old + "/chunk=0/part.parquet"), "old");
    assertThat(run(other).skipped()).isEqualTo(50);
    assertHolds(texts(0, 50));
    assertThat(TestJobs.rows(folder + "/out").where("length != 2 * length(text)").count()).isZero();
  }
}
