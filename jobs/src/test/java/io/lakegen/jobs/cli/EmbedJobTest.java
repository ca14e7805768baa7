package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import io.lakegen.spark.ExecutorModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbedJobTest {
  private static final Path SAMPLE =
      Path.of("../sample-data/text/texts.jsonl").toAbsolutePath().normalize();

  @TempDir Path folder;

  private Path sample(int rows) throws IOException {
    try (Stream<String> lines = Files.lines(SAMPLE)) {
      return Files.write(folder.resolve("sample" + rows + ".jsonl"), lines.limit(rows).toList());
    }
  }

  private List<Row> embed(Path input, String output, Object... more) throws IOException {
    List<Object> args =
        new ArrayList<>(
            List.of(
                "embed",
                "--input",
                input,
                "--model",
                TestJobs.MINILM,
                "--output",
                folder.resolve(output)));
    args.addAll(List.of(more));
    Result result = TestJobs.run(args.toArray());
    assertThat(result.status()).as(result.err()).isZero();
    return rowsInOrder(output);
  }

  private Dataset<Row> rows(String output) {
    return TestJobs.rows(folder.resolve(output));
  }

  /**
   * The rows as the files hold them, in the files' order: Spark itself reads the largest file
   * first.
   */
  private List<Row> rowsInOrder(String output) throws IOException {
    List<Row> rows = new ArrayList<>();
    try (Stream<Path> files = Files.walk(folder.resolve(output))) {
      for (Path file :
          files
              .filter(f -> f.toString().endsWith(".parquet") && !f.toString().contains("_errors"))
              .sorted()
              .toList()) {
        rows.addAll(TestJobs.spark().read().parquet(file.toString()).collectAsList());
      }
    }
    return rows;
  }

  private static float[] vector(Row row) {
    List<Float> values = row.getList(row.fieldIndex("embedding"));
    float[] vector = new float[values.size()];
    for (int i = 0; i < vector.length; i++) {
      vector[i] = values.get(i);
    }
    return vector;
  }

  private static double largestDifference(List<Row> a, List<Row> b) {
    assertThat(a).hasSameSizeAs(b);
    double largest = 0;
    for (int i = 0; i < a.size(); i++) {
      assertThat(a.get(i).<String>getAs("id")).isEqualTo(b.get(i).getAs("id"));
      float[] x = vector(a.get(i));
      float[] y = vector(b.get(i));
      for (int j = 0; j < x.length; j++) {
        largest = Math.max(largest, Math.abs(x[j] - y[j]));
      }
    }
    return largest;
  }

  @Test
  void everyRowComesOutOnceInOrderWithItsLineageWhateverItHolds() throws IOException {
    Path input =
        Files.write(
            folder.resolve("in.txt"),
            "good\n\n  \nb\u00ffd\ngood\nlast"
                .getBytes(java.nio.charset.StandardCharsets.ISO_8859_1));
    Result result =
        TestJobs.run(
            "embed",
            "--input",
            input,
            "--model",
            TestJobs.MINILM,
            "--output",
            folder + "/out",
            "--max-error-rate",
            0.4);
    assertThat(result.status()).isEqualTo(3);
    assertThat(result.err())
        .contains("error rate 0.5000 (expected: at most 0.4, see --max-error-rate)");
    assertThat(result.out())
        .contains(
            "rows: 6 input = 3 ok + 3 failed + 0 skipped (prepare/blank_text 1, prepare/empty_text 1, prepare/invalid_utf8 1)")
        .contains("bottleneck: ");

    assertThat(rows("out").columns())
        .containsExactly(
            "text", "embedding", "token_count", "truncated", "lineage", "run_id", "chunk");
    List<Row> good = rowsInOrder("out");
    assertThat(good.stream().map(r -> r.getString(0))).containsExactly("good", "good", "last");
    assertThat(good.get(0).getStruct(4)).isEqualTo(good.get(1).getStruct(4));
    List<Row> bad = TestJobs.errors(folder + "/out").orElseThrow().orderBy("text").collectAsList();
    assertThat(bad.stream().map(r -> r.getString(0) + "|" + r.getStruct(1).getString(1)))
        .containsExactly("|empty_text", "  |blank_text", "b\ufffdd|invalid_utf8");
    assertThat(bad.get(2).getStruct(1).getString(2))
        .isEqualTo("byte 0xff at offset 1 of 3 is not UTF-8 (expected: UTF-8 text)");
    assertThat(bad.get(2).getStruct(1).getString(3)).isEqualTo("file:" + input);
    assertThat(
            Stream.concat(good.stream(), bad.stream())
                .map(r -> r.<Row>getAs("lineage").getString(0))
                .distinct())
        .hasSize(5);

    JsonNode commit = TestJobs.commits(folder + "/out").get(0);
    assertThat(commit.path("counts").toString())
        .isEqualTo("{\"input\":6,\"ok\":3,\"failed\":3,\"written\":3}");
    Row lineage = good.get(0).getStruct(4);
    assertThat(lineage.<String>getAs("model_sha256"))
        .isEqualTo(commit.path("model_sha256").asText());
    assertThat(lineage.<String>getAs("params_sha256"))
        .isEqualTo(commit.path("params_sha256").asText());
    assertThat(lineage.<String>getAs("run_id")).isEqualTo(commit.path("run_id").asText());

    Result again =
        TestJobs.run(
            "embed", "--input", input, "--model", TestJobs.MINILM, "--output", folder + "/out");
    assertThat(again.status()).as(again.err()).isZero();
    assertThat(again.out()).contains("rows: 6 input = 0 ok + 0 failed + 6 skipped");
    assertThat(rows("out").count()).isEqualTo(3);
  }

  @Test
  void aBatchAnswersAsASingleRowDoesAndPartitionsDoNotMatter() throws IOException {
    Path input = sample(120);
    List<Row> batched = embed(input, "batched");
    List<Row> single = embed(input, "single", "--batch-budget", 1);
    assertThat(largestDifference(batched, single)).isLessThan(1e-4);

    // One row a batch: the batch shapes agree whatever the partitions are, so the bits must too.
    TestJobs.spark()
        .read()
        .json(input.toString())
        .repartition(7)
        .write()
        .parquet(folder + "/parts.parquet");
    List<Row> parts = embed(folder.resolve("parts.parquet"), "single-parts", "--batch-budget", 1);
    assertThat(largestDifference(byId(parts), byId(single))).isZero();
    List<Row> batchedParts = embed(folder.resolve("parts.parquet"), "batched-parts");
    assertThat(largestDifference(byId(batchedParts), byId(batched))).isLessThan(1e-4);
    assertThat(byId(parts).stream().map(r -> key(r)))
        .containsExactlyElementsOf(byId(single).stream().map(r -> key(r)).toList());
  }

  private static String key(Row row) {
    return row.getStruct(row.fieldIndex("lineage")).getAs("key");
  }

  private static List<Row> byId(List<Row> rows) {
    return rows.stream()
        .sorted(java.util.Comparator.comparing((Row r) -> r.<String>getAs("id")))
        .toList();
  }

  @Test
  void theModelIsLoadedOnceForAnyNumberOfPartitionsAndClosedInTheEnd() throws IOException {
    ExecutorModels.close();
    List<Row> rows = embed(sample(400), "first", "--commit-every", 100);
    assertThat(rows.stream().map(r -> r.<String>getAs("id"))).hasSize(400).doesNotHaveDuplicates();
    try (Stream<Path> files = Files.walk(folder.resolve("first"))) {
      assertThat(files.filter(f -> f.getFileName().toString().endsWith(".parquet")).count())
          .isGreaterThan(4);
    }
    embed(sample(40), "second");
    assertThat(ExecutorModels.pool().loads()).isEqualTo(1);
    assertThat(ExecutorModels.pool().size()).isEqualTo(1);
    ExecutorModels.close();
    assertThat(ExecutorModels.pool().size()).isZero();
  }

  @Test
  void unevenInputIsSpreadOverTheSlotsInOrder() throws IOException {
    Path input = sample(300);
    TestJobs.spark()
        .read()
        .json(input.toString())
        .coalesce(1)
        .write()
        .parquet(folder + "/one.parquet");
    List<Row> rows = embed(folder.resolve("one.parquet"), "spread", "--limit", 250);
    try (Stream<String> lines = Files.lines(input)) {
      ObjectMapper json = new ObjectMapper();
      List<String> ids = new ArrayList<>();
      for (String line : lines.limit(250).toList()) {
        ids.add(json.readTree(line).path("id").asText());
      }
      assertThat(rows.stream().map(r -> r.<String>getAs("id"))).containsExactlyElementsOf(ids);
    }
    try (Stream<Path> files = Files.walk(folder.resolve("spread"))) {
      assertThat(files.filter(f -> f.getFileName().toString().endsWith(".parquet")).count())
          .isGreaterThan(2);
    }
  }

  @Test
  void picturesAreSearchedByTextInOneSpace() throws IOException {
    Path pictures = Files.createDirectory(folder.resolve("pictures"));
    for (int i = 0; i < 3; i++) {
      var image = new java.awt.image.BufferedImage(32, 32, 1);
      for (int x = 0; x < 32; x++) {
        image.setRGB(x, 3 * i, 0xFF << (8 * i));
      }
      javax.imageio.ImageIO.write(image, "png", pictures.resolve(i + ".png").toFile());
    }
    String model =
        Path.of("../inference/src/test/resources/fixtures/clip/pack").toAbsolutePath().toString();
    Result result =
        TestJobs.run(
            "embed", "--input", pictures, "--model", model, "--output", folder.resolve("out"));
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(rows("out").columns())
        .containsExactly("path", "length", "embedding", "lineage", "run_id", "chunk");
    io.lakegen.spark.LakegenFunctions.register(TestJobs.spark());
    rows("out").createOrReplaceTempView("vectors");
    List<Row> found =
        TestJobs.spark()
            .sql(
                String.format(
                    "SELECT ai_similarity(embedding, ai_embed('a boat', '%s')), "
                        + "ai_similarity(embedding, ai_embed(content, '%s')) FROM vectors "
                        + "JOIN (SELECT content, path AS file FROM binaryFile.`%s`) "
                        + "ON substring_index(path, '/', -1) = substring_index(file, '/', -1)",
                    model, model, pictures))
            .collectAsList();
    assertThat(found).hasSize(3);
    for (Row row : found) {
      assertThat(((Number) row.get(0)).doubleValue()).isBetween(-1.0, 0.999);
      assertThat(((Number) row.get(1)).doubleValue())
          .isCloseTo(1, org.assertj.core.api.Assertions.within(1e-5));
    }
  }
}
