package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code classify} with the demo's packs. */
class ClassifyJobTest {
  private static final Path SAMPLES = Path.of("../sample-data").toAbsolutePath();

  @TempDir Path folder;

  private Result classify(Path input, Object... more) {
    return classify("topics-distilbert", input, more);
  }

  private Result classify(String pack, Path input, Object... more) {
    return TestJobs.run(
        java.util.stream.Stream.concat(
                java.util.stream.Stream.of(
                    "classify",
                    "--input",
                    input,
                    "--model",
                    SAMPLES.resolve("models").resolve(pack),
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
  void tellsTheGroupsOfHeldOutEmoji() {
    Result result =
        classify("emoji-groups", SAMPLES.resolve("images/groups.jsonl"), "--column", "file");
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows =
        TestJobs.outcomes(folder + "/out").select("group", "label", "error").collectAsList();
    assertThat(rows).hasSize(36).allMatch(r -> r.isNullAt(2));
    assertThat(rows.stream().filter(r -> r.getString(0).equals(r.getString(1))).count())
        .isGreaterThan(18);
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

  @Test
  void picturesAreClassifiedByAPackForPictures() throws IOException {
    Path pictures = Files.createDirectory(folder.resolve("pictures"));
    for (int i = 0; i < 3; i++) {
      BufferedImage image = new BufferedImage(40 + i, 30, BufferedImage.TYPE_INT_RGB);
      image.setRGB(i, i, 0xFFFFFF);
      ImageIO.write(image, "png", pictures.resolve(i + ".png").toFile());
    }
    Files.writeString(pictures.resolve("broken.png"), "no picture");
    Path fixtures = Path.of("../inference/src/test/resources/fixtures").toAbsolutePath();
    Result result =
        TestJobs.run(
            "classify",
            "--input",
            pictures,
            "--input-format",
            "image",
            "--model",
            fixtures.resolve("clip/pack"),
            "--labels",
            "boat,house",
            "--top-k",
            2,
            "--max-error-rate",
            1,
            "--output",
            folder.resolve("out"));
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(TestJobs.rows(folder + "/out").columns())
        .containsExactly(
            "path", "length", "label", "score", "scores", "lineage", "run_id", "chunk");
    assertThat(
            TestJobs.outcomes(folder + "/out")
                .selectExpr("coalesce(error.type, 'ok')", "map_keys(scores)")
                .collectAsList()
                .stream()
                .map(r -> r.getString(0)))
        .containsExactlyInAnyOrder("ok", "ok", "ok", "not_an_image");
    assertThat(
            TestJobs.run(
                    "classify",
                    "--input",
                    pictures,
                    "--model",
                    fixtures.resolve("vit-classes/pack"),
                    "--labels",
                    "a",
                    "--text-pair-column",
                    "other",
                    "--output",
                    folder.resolve("other"))
                .err())
        .contains("labels: [a] (expected: none; this model has labels of its own)")
        .contains("text-pair-column: other (expected: none; this model classifies images)");
  }
}
