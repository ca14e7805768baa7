package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code match} with a tiny random model. */
class MatchJobTest {
  private static final Path FIXTURE =
      Path.of("../inference/src/test/resources/fixtures/blip-matching").toAbsolutePath();

  @TempDir Path folder;

  private Result match(Path input, String output, Object... more) {
    List<Object> args =
        new ArrayList<>(
            List.of("match", "--input", input, "--model", FIXTURE.resolve("pack").normalize()));
    args.addAll(List.of("--output", folder.resolve(output), "--column", "path"));
    args.addAll(List.of(more));
    return TestJobs.run(args.toArray());
  }

  private List<Row> rows(String output) {
    return TestJobs.outcomes(folder.resolve(output)).collectAsList().stream()
        .sorted(Comparator.comparing(r -> r.<Long>getAs("id")))
        .toList();
  }

  private static String line(int id, String path, String text) {
    return String.format("{\"id\": %d, \"path\": \"%s\", \"text\": \"%s\"}", id, path, text);
  }

  private static String image(int number) {
    return FIXTURE.normalize().resolve("images/" + number + ".png").toString();
  }

  /**
   * 1,000 rows, 60 of them bad in four ways: each has the same scores and maps in shared batches as
   * it has alone.
   */
  @Test
  void rowsHaveTheResultsInBatchesThatTheyHaveAlone() throws IOException {
    String[] words = {"boat", "lake", "the", "evening", "12", "red", "stones", "na\u00efve", "a"};
    Files.writeString(folder.resolve("broken.png"), "This is no image.");
    List<String> lines = new ArrayList<>();
    Map<Integer, String> errors = new HashMap<>();
    for (int id = 0; id < 1000; id++) {
      StringBuilder text = new StringBuilder("row " + id);
      for (int w = 0; w < id * 7 % 5; w++) {
        text.append(' ').append(words[(id + 3 * w) % words.length]);
      }
      String path = image(id % 4);
      switch (id % 100) {
        case 3 -> {
          path = folder.resolve("broken.png").toString();
          errors.put(id, "prepare/not_an_image");
        }
        case 13 -> {
          path = folder.resolve("missing.png").toString();
          errors.put(id, "read/missing_file");
        }
        case 23, 33 -> {
          text.setLength(0);
          errors.put(id, "prepare/empty_text");
        }
        case 43, 53 -> {
          text.append(" stones".repeat(40));
          errors.put(id, "prepare/text_too_long");
        }
        default -> {}
      }
      lines.add(line(id, path, text.toString()));
    }
    Path input = Files.write(folder.resolve("in.jsonl"), lines);

    Result shared = match(input, "shared", "--heat-map");
    assertThat(shared.status()).as(shared.err()).isZero();
    assertThat(shared.out()).contains("rows: 1,000 input = 940 ok + 60 failed + 0 skipped");
    Result single = match(input, "single", "--heat-map", "--batch-budget", 1);
    assertThat(single.status()).as(single.err()).isZero();

    List<Row> together = rows("shared");
    List<Row> alone = rows("single");
    assertThat(together).hasSize(1000);
    for (int id = 0; id < 1000; id++) {
      Row a = together.get(id);
      Row b = alone.get(id);
      Row error = a.getAs("error");
      assertThat(error == null ? null : error.getString(0) + "/" + error.getString(1))
          .isEqualTo(errors.get(id));
      if (error != null) {
        assertThat(b.<Row>getAs("error")).isEqualTo(error);
        continue;
      }
      for (String score : List.of("itm_score", "itc_score")) {
        assertThat(Math.abs(a.<Float>getAs(score) - b.<Float>getAs(score))).isLessThan(1e-5f);
      }
      assertThat(a.getList(a.fieldIndex("words"))).isEqualTo(b.getList(b.fieldIndex("words")));
      assertSame(maps(a), maps(b));
    }
    assertThat(together.stream().filter(r -> !r.isNullAt(r.fieldIndex("itm_score"))))
        .extracting(r -> Math.round(1000 * r.<Float>getAs("itm_score")))
        .satisfies(scores -> assertThat(scores.stream().distinct().count()).isGreaterThan(100));
  }

  private static List<float[]> maps(Row row) {
    List<float[]> maps = new ArrayList<>();
    int patches = row.<Integer>getAs("map_height") * row.<Integer>getAs("map_width");
    for (Object map : row.getList(row.fieldIndex("maps"))) {
      scala.collection.Seq<?> values = (scala.collection.Seq<?>) map;
      float[] copy = new float[values.size()];
      for (int i = 0; i < copy.length; i++) {
        copy[i] = (Float) values.apply(i);
      }
      assertThat(copy).hasSize(patches);
      maps.add(copy);
    }
    assertThat(maps).hasSize(row.getList(row.fieldIndex("words")).size());
    return maps;
  }

  private static void assertSame(List<float[]> actual, List<float[]> expected) {
    assertThat(actual).hasSameSizeAs(expected);
    float largest = 0;
    float difference = 0;
    for (int w = 0; w < actual.size(); w++) {
      for (int p = 0; p < actual.get(w).length; p++) {
        largest = Math.max(largest, expected.get(w)[p]);
        difference = Math.max(difference, Math.abs(actual.get(w)[p] - expected.get(w)[p]));
      }
    }
    assertThat(largest).isPositive();
    assertThat(difference).isLessThanOrEqualTo(1e-4f * largest);
  }

  @Test
  void scoresAreAllUnlessMoreIsAskedFor() throws IOException {
    Path input =
        Files.write(
            folder.resolve("in.jsonl"),
            List.of(line(0, image(0), "a boat"), line(1, image(1), "the lake, still")));
    assertThat(match(input, "plain").status()).isZero();
    Dataset<Row> plain = TestJobs.outcomes(folder.resolve("plain"));
    assertThat(plain.columns())
        .containsExactly(
            "id", "path", "text", "itm_score", "itc_score", "lineage", "run_id", "chunk", "error");

    assertThat(match(input, "all", "--heat-map", "--overlay", 16).status()).isZero();
    Row row = rows("all").get(1);
    assertThat(row.<Object>getList(row.fieldIndex("words")))
        .containsExactly("the", "lake", ",", "still");
    List<byte[]> overlays = row.getList(row.fieldIndex("overlays"));
    assertThat(overlays).hasSize(4);
    assertThat(overlays)
        .allSatisfy(png -> assertThat(png).startsWith((byte) 0x89, (byte) 'P', (byte) 'N'));
  }

  @Test
  void mistakesAreTold() throws IOException {
    Path input = Files.writeString(folder.resolve("in.jsonl"), line(0, image(0), "a boat"));
    Result result = match(input, "out", "--overlay", 16, "--text-column", "txt");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).contains("overlay: 16 (expected: --heat-map with it)");
    assertThat(match(input, "out", "--text-column", "txt").err())
        .contains("text-column: txt is not in the input (expected: one of [id, path, text]");
  }
}
