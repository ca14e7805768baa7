package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CaptionJobTest {
  private static final Path RESOURCES = Path.of("../inference/src/test/resources").toAbsolutePath();
  private static final Path PACK = RESOURCES.resolve("fixtures/git/pack").normalize();
  private static final Path IMAGES = RESOURCES.resolve("images").normalize();

  @TempDir Path folder;

  private Result caption(Path input, String output, Object... more) {
    List<Object> args =
        new ArrayList<>(
            List.of(
                "caption", "--input", input, "--model", PACK, "--output", folder.resolve(output)));
    args.addAll(List.of(more));
    if (!args.contains("--max-new-tokens")) {
      args.addAll(List.of("--max-new-tokens", 6));
    }
    return TestJobs.run(args.toArray());
  }

  /**
   * README's figure; the packs' answers differ in no more than rounding from machine to machine.
   */
  @Test
  void theDemoPackNamesPicturesThatItNeverSaw() throws IOException {
    Path samples = Path.of("../sample-data").toAbsolutePath().normalize();
    Result result =
        TestJobs.run(
            "caption",
            "--input",
            samples.resolve("images/emoji"),
            "--model",
            samples.resolve("models/emoji-git"),
            "--output",
            folder.resolve("out"));
    assertThat(result.status()).as(result.err()).isZero();
    Map<String, String> names = new HashMap<>();
    ObjectMapper json = new ObjectMapper();
    for (String line : Files.readAllLines(samples.resolve("images/names.jsonl"))) {
      JsonNode row = json.readTree(line);
      names.put(
          Path.of(row.path("file").asText()).getFileName().toString(), row.path("name").asText());
    }
    List<Row> rows = rows("out");
    assertThat(rows).hasSize(200);
    assertThat(rows)
        .filteredOn(
            r ->
                r.<String>getAs("caption")
                    .equals(
                        names.get(
                            new org.apache.hadoop.fs.Path(r.<String>getAs("path")).getName())))
        .hasSizeBetween(135, 145);
  }

  private List<Row> good(Path input, String output, Object... more) {
    Result result = caption(input, output, more);
    assertThat(result.status()).as(result.err()).isZero();
    return rows(output);
  }

  private Dataset<Row> table(String output) {
    return TestJobs.outcomes(folder.resolve(output));
  }

  private List<Row> rows(String output) {
    return table(output).collectAsList().stream()
        .sorted(Comparator.comparing(r -> r.<String>getAs("path")))
        .toList();
  }

  private static String error(Row row) {
    Row error = row.getAs("error");
    return error == null ? null : error.getString(0) + "/" + error.getString(1);
  }

  private static byte[] picture(String format, Random random) throws IOException {
    BufferedImage image = new BufferedImage(20, 16, BufferedImage.TYPE_INT_RGB);
    int base = random.nextInt(0x1000000);
    for (int y = 0; y < 16; y++) {
      for (int x = 0; x < 20; x++) {
        image.setRGB(x, y, base + x * 0x050301 + y * 0x01070B);
      }
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertThat(ImageIO.write(image, format, out)).isTrue();
    return out.toByteArray();
  }

  /** 300 of 1,000 pictures are bad, 50 in each of six ways; 50 more only have a wrong extension. */
  @Test
  void everyBadPictureIsOneErrorRowAndEveryGoodOneHasACaption() throws IOException {
    Random random = new Random(0);
    Path corpus = Files.createDirectory(folder.resolve("corpus"));
    byte[] huge = Files.readAllBytes(IMAGES.resolve("bad/huge.png"));
    byte[] palette = Files.readAllBytes(IMAGES.resolve("bad/palette-crc.png"));
    Map<String, String> expected = new HashMap<>();
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      String format = i % 3 == 0 ? "png" : "jpeg";
      byte[] file = picture(format, random);
      String extension = format;
      String error = null;
      switch (i % 20) {
        case 0 -> {
          file = new byte[0];
          error = "prepare/empty_image";
        }
        case 1 -> {
          file = java.util.Arrays.copyOf(file, file.length * 2 / 3);
          error = "prepare/truncated_image";
        }
        case 2 -> {
          file = "This is no image.".getBytes(StandardCharsets.UTF_8);
          error = "prepare/not_an_image";
        }
        case 3 -> {
          file = huge;
          error = "prepare/image_too_large";
        }
        case 4 -> {
          file = palette;
          error = "prepare/corrupt_image";
        }
        case 5 -> error = "read/missing_file";
        case 6 -> extension = format.equals("png") ? "jpeg" : "gif";
        default -> {}
      }
      String name = String.format("%04d.%s", i, extension);
      if (i % 20 != 5) {
        Files.write(corpus.resolve(name), file);
      }
      expected.put(name, error);
      lines.add("{\"id\": " + i + ", \"path\": \"corpus/" + name + "\"}");
    }
    Path index = Files.write(folder.resolve("index.jsonl"), lines);

    Result result = caption(index, "out", "--column", "path", "--max-error-rate", 0.29);

    assertThat(result.status()).as(result.err()).isEqualTo(3);
    assertThat(result.err()).contains("error rate 0.3000 (expected: at most 0.29");
    assertThat(result.out())
        .contains(
            "rows: 1,000 input = 700 ok + 300 failed + 0 skipped (prepare/corrupt_image 50, prepare/empty_image 50,"
                + " prepare/image_too_large 50, prepare/not_an_image 50, prepare/truncated_image 50,"
                + " read/missing_file 50)");
    List<Row> rows = rows("out");
    assertThat(rows.stream().map(r -> r.<String>getAs("path")))
        .containsExactlyElementsOf(
            expected.keySet().stream().sorted().map(n -> "corpus/" + n).toList());
    for (Row row : rows) {
      String name = row.<String>getAs("path").substring("corpus/".length());
      assertThat(error(row)).as(name).isEqualTo(expected.get(name));
      if (error(row) == null) {
        assertThat(row.<String>getAs("caption")).as(name).isNotNull();
        assertThat(row.<Integer>getAs("token_count")).isBetween(1, 6);
        assertThat(row.<Double>getAs("mean_logprob")).isLessThan(0);
        assertThat(row.<Integer>getAs("width")).isEqualTo(20);
        assertThat(row.<Integer>getAs("height")).isEqualTo(16);
      } else {
        assertThat(row.<String>getAs("caption")).isNull();
        assertThat(row.<Row>getAs("error").getString(2)).isNotBlank();
      }
    }
  }

  private static byte[] image(String name) throws IOException {
    return Files.readAllBytes(IMAGES.resolve(name));
  }

  private Path someImages() throws IOException {
    Path images = Files.createDirectory(folder.resolve("images"));
    for (String name : List.of("large.jpg", "large-turned.jpg", "palette.png", "alpha.webp")) {
      Files.copy(IMAGES.resolve(name), images.resolve(name));
    }
    Files.createDirectory(images.resolve("below"));
    Files.copy(IMAGES.resolve("cmyk.tif"), images.resolve("below/cmyk.tif"));
    return images;
  }

  @Test
  void foldersGiveTheSizeOfEveryPictureAndNoBytes() throws IOException {
    List<Row> rows = good(someImages(), "out");
    assertThat(table("out").columns())
        .containsExactly(
            "path",
            "length",
            "caption",
            "token_count",
            "mean_logprob",
            "width",
            "height",
            "lineage",
            "run_id",
            "chunk",
            "error");
    assertThat(rows.stream().map(r -> r.<String>getAs("path").replaceAll(".*/images/", "")))
        .containsExactly(
            "alpha.webp", "below/cmyk.tif", "large-turned.jpg", "large.jpg", "palette.png");
    assertThat(rows.stream().map(r -> r.<Integer>getAs("width") + "x" + r.<Integer>getAs("height")))
        .containsExactly("48x36", "48x36", "240x320", "320x240", "48x36");
    assertThat(rows.get(0).<Long>getAs("length")).isEqualTo(image("alpha.webp").length);
    // large.jpg and large-turned.jpg hold the same pixels, but not the same bytes.
    assertThat(rows.stream().map(r -> r.<Row>getAs("lineage").getString(0)).distinct()).hasSize(5);
  }

  @Test
  void keepsImagesAndAddsThumbnailsOnRequest() throws IOException {
    List<Row> rows = good(someImages(), "out", "--keep-image", "--thumbnail", 40);
    assertThat(rows.get(3).<byte[]>getAs("content")).isEqualTo(image("large.jpg"));
    List<String> sizes = new ArrayList<>();
    for (Row row : rows) {
      BufferedImage thumbnail =
          ImageIO.read(new ByteArrayInputStream(row.<byte[]>getAs("thumbnail")));
      sizes.add(thumbnail.getWidth() + "x" + thumbnail.getHeight());
    }
    assertThat(sizes).containsExactly("40x30", "40x30", "30x40", "40x30", "40x30");
  }

  @Test
  void aBinaryColumnIsReadAndLeftOut() throws IOException {
    Path images = someImages();
    TestJobs.spark()
        .read()
        .format("binaryFile")
        .option("recursiveFileLookup", "true")
        .load(images.toString())
        .selectExpr("path", "content as picture")
        .write()
        .parquet(folder.resolve("table").toString());
    Path table = folder.resolve("table");
    List<Row> rows = good(table, "out", "--column", "picture");
    assertThat(table("out").columns()).contains("path", "caption").doesNotContain("picture");
    List<Row> fromFiles = good(images, "files");
    assertThat(rows.stream().map(r -> r.<String>getAs("caption")))
        .containsExactlyElementsOf(
            fromFiles.stream().map(r -> r.<String>getAs("caption")).toList());
    assertThat(good(table, "kept", "--column", "picture", "--keep-image").get(3))
        .satisfies(r -> assertThat(r.<byte[]>getAs("picture")).isEqualTo(image("large.jpg")));
  }

  @Test
  void samplesAreTheSameWhateverTheBatch() throws IOException {
    Path images = someImages();
    Object[] options = {"--do-sample", "--num-return-sequences", 3, "--seed", 5};
    List<Row> rows = good(images, "out", options);
    assertThat(rows).hasSize(15);
    assertThat(rows.stream().map(r -> r.<Integer>getAs("sequence_index")).distinct().sorted())
        .containsExactly(0, 1, 2);
    assertThat(rows.stream().map(r -> r.<String>getAs("caption")).distinct().count())
        .isGreaterThan(5);
    List<Object> more = new ArrayList<>(List.of(options));
    more.addAll(List.of("--batch-budget", 3));
    Comparator<String> order = Comparator.naturalOrder();
    assertThat(captions(good(images, "small", more.toArray())).sorted(order))
        .containsExactlyElementsOf(captions(rows).sorted(order).toList());
  }

  private static Stream<String> captions(List<Row> rows) {
    return rows.stream()
        .map(r -> r.getAs("path") + "#" + r.getAs("sequence_index") + ": " + r.getAs("caption"));
  }

  @Test
  void aPromptStartsEveryCaption() throws IOException {
    Path images = Files.createDirectory(folder.resolve("one"));
    Files.copy(IMAGES.resolve("large.jpg"), images.resolve("large.jpg"));
    String firstWord = good(images, "plain").get(0).<String>getAs("caption").replaceAll(" .*", "");
    Row prompted = good(images, "prompted", "--prompt", firstWord).get(0);
    assertThat(prompted.<String>getAs("caption")).startsWith(firstWord);
    assertThat(prompted.<Integer>getAs("token_count")).isBetween(1, 6);
  }

  @Test
  void namesEveryMistakeAtOnce() throws IOException {
    Path table = Files.writeString(folder.resolve("table.jsonl"), "{\"id\": 1, \"path\": \"x\"}\n");
    Result result =
        caption(
            table,
            "out",
            "--column",
            "id",
            "--temperature",
            0.5,
            "--thumbnail",
            5000,
            "--max-new-tokens",
            0);
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains(
            "column: id is bigint (expected: a column of images (binary), paths (string) or"
                + " struct<bytes:binary,path:string>)")
        .contains("max-new-tokens: 0 (expected: 1 or more)")
        .contains("do-sample: false (expected: true with temperature, top-k or top-p)")
        .contains("thumbnail: 5000 (expected: 1 to 1024 pixels)");
    assertThat(caption(table, "out", "--column", "paht").err())
        .contains(
            "column: paht is not in the input (expected: one of [id, path]; did you mean path?)");
    Path clash =
        Files.writeString(folder.resolve("c.jsonl"), "{\"content\": \"x\", \"path\": \"x\"}\n");
    assertThat(caption(clash, "out", "--column", "path").err())
        .contains("input column: content (expected: another name; what the files hold goes there)");
    assertThat(
            TestJobs.run("caption", "--input", table, "--model", TestJobs.MINILM, "--output", "x")
                .err())
        .contains("is a pack for feature-extraction (expected: a pack for [image-to-text])");
    assertThat(caption(table, "out", "--column", "path", "--max-new-tokens", 100_000).err())
        .contains("max-new-tokens: 100000 (expected: less than the model's context of ");
  }

  @Test
  void pathsOfEveryKindAreRowsOfTheirOwn() throws IOException {
    Files.copy(IMAGES.resolve("rgb.png"), folder.resolve("a b%20c.png"));
    Path table =
        Files.write(
            folder.resolve("table.jsonl"),
            List.of(
                "{\"path\": \"a b%20c.png\"}",
                "{\"path\": \"" + folder.resolve("a b%20c.png") + "\"}",
                "{\"path\": \"\"}",
                "{\"path\": \"none://x/y\"}",
                "{\"path\": \".\"}",
                "{\"path\": null}",
                "{\"path\": \"gone.png\"}"));
    Result result = caption(table, "out", "--column", "path", "--max-error-rate", 1);
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(
            table("out").collectAsList().stream()
                .map(CaptionJobTest::error)
                .map(String::valueOf)
                .sorted())
        .containsExactly(
            "null",
            "null",
            "prepare/null_image",
            "read/bad_path",
            "read/bad_path",
            "read/missing_file",
            "read/missing_file");
  }
}
