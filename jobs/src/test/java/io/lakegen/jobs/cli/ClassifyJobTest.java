package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code classify} with the demo's pack. */
class ClassifyJobTest {
  private static final Path SAMPLES = Path.of("../sample-data").toAbsolutePath();

  @TempDir Path folder;

  private Result classify(Path input, Object... more) {
    return TestJobs.run(
        java.util.stream.Stream.concat(
                java.util.stream.Stream.of(
                    "classify",
                    "--input",
                    input,
                    "--model",
                    SAMPLES.resolve("models/topics-distilbert"),
                    "--output",
                    folder.resolve("out")),
                java.util.stream.Stream.of(more))
            .toArray());
  }

  @Test
  void tellsTheTopicsOfHeldOutDefinitions() {
    Result result =
        classify(SAMPLES.resolve("text/definitions.jsonl"), "--column", "definition", "--top-k", 3);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows =
        TestJobs.outcomes(folder + "/out")
            .select("topic", "label", "score", "scores", "error")
            .collectAsList();
    assertThat(rows).hasSize(63);
    assertThat(rows.stream().filter(r -> r.getString(0).equals(r.getString(1))).count())
        .isGreaterThan(45);
    for (Row row : rows) {
      assertThat(row.isNullAt(4)).isTrue();
      Map<String, Float> scores = row.getJavaMap(3);
      assertThat(scores).hasSize(3).containsEntry(row.getString(1), row.getFloat(2));
    }
  }

  @Test
  void badRowsAndBadColumnsAreTold() throws IOException {
    Path input =
        Files.writeString(
            folder.resolve("in.jsonl"),
            "{\"text\": \"a bird\", \"other\": \"a fish\"}\n{\"text\": \"a bird\", \"other\": \" \"}\n");
    assertThat(classify(input, "--text-pair-column", "othre").err())
        .contains("text-pair-column: othre is not in the input (expected: one of [other, text]");
    Result result = classify(input, "--text-pair-column", "other", "--max-error-rate", 1);
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(
            TestJobs.outcomes(folder + "/out")
                .selectExpr("coalesce(error.type, 'ok')")
                .collectAsList()
                .stream()
                .map(r -> r.getString(0)))
        .containsExactly("ok", "blank_text");
  }
}
