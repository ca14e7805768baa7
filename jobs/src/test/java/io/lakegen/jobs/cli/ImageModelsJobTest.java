package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import javax.imageio.ImageIO;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import scala.collection.Seq;

/** Models of images through the command line: tiny random ones. */
class ImageModelsJobTest {
  private static final Path FIXTURES =
      Path.of("../inference/src/test/resources/fixtures").toAbsolutePath().normalize();

  @TempDir Path folder;

  private Result run(String task, Path input, String pack, String output, Object... more) {
    List<Object> args =
        new ArrayList<>(
            List.of(
                task,
                "--input",
                input,
                "--model",
                FIXTURES.resolve(pack).resolve("pack"),
                "--output",
                folder.resolve(output)));
    args.addAll(List.of(more));
    return TestJobs.run(args.toArray());
  }

  private List<Row> rows(String output) {
    return TestJobs.outcomes(folder.resolve(output)).collectAsList();
  }

  /**
   * What is encoded is decoded, from Parquet, to the same image, of another size than the pack's.
   */
  @Test
  void whatIsEncodedIsDecodedAgain() throws IOException {
    Path pictures = Files.createDirectory(folder.resolve("pictures"));
    for (int i = 0; i < 3; i++) {
      BufferedImage picture = new BufferedImage(50, 40, BufferedImage.TYPE_INT_RGB);
      Graphics2D graphics = picture.createGraphics();
      graphics.setColor(new Color(80 * i, 255 - 100 * i, 120));
      graphics.fillOval(5 * i, 4, 30, 30);
      ImageIO.write(picture, "png", pictures.resolve(i + ".png").toFile());
    }
    Files.write(pictures.resolve("bad.png"), new byte[] {1, 2, 3});
    Result encoded =
        run(
            "encode",
            pictures,
            "autoencoder-kl",
            "latents",
            "--reconstruct",
            "--height",
            48,
            "--width",
            64,
            "--max-error-rate",
            0.5);
    assertThat(encoded.status()).as(encoded.err()).isZero();
    List<Row> latents =
        rows("latents").stream().filter(r -> r.<Object>getAs("error") == null).toList();
    assertThat(latents).hasSize(3);
    for (Row row : latents) {
      assertThat(row.<Integer>getList(row.fieldIndex("latent_shape"))).containsExactly(4, 24, 32);
      assertThat(row.<Float>getList(row.fieldIndex("latents"))).hasSize(4 * 24 * 32);
      assertThat(row.<Double>getAs("psnr")).isBetween(0.0, 60.0);
      assertThat(row.<Double>getAs("ssim")).isBetween(-1.0, 1.0);
    }
    // The encoder's own columns are in the way of the decoder's.
    TestJobs.spark()
        .read()
        .parquet(folder.resolve("latents").toString())
        .selectExpr("path", "latents", "latent_shape", "image AS expected")
        .write()
        .parquet(folder.resolve("stored").toString());
    Result decoded =
        run(
            "decode",
            folder.resolve("stored"),
            "autoencoder-kl",
            "images",
            "--shape-column",
            "latent_shape");
    assertThat(decoded.status()).as(decoded.err()).isZero();
    List<Row> images = rows("images");
    assertThat(images).hasSize(3);
    for (Row row : images) {
      assertThat(List.of(row.<Integer>getAs("height"), row.<Integer>getAs("width")))
          .containsExactly(48, 64);
      assertClose(row.getAs("image"), row.getAs("expected"));
    }
  }

  /** A level of difference is what other batches may round. */
  private static void assertClose(byte[] actual, byte[] expected) throws IOException {
    BufferedImage one = ImageIO.read(new ByteArrayInputStream(actual));
    BufferedImage other = ImageIO.read(new ByteArrayInputStream(expected));
    for (int y = 0; y < other.getHeight(); y++) {
      for (int x = 0; x < other.getWidth(); x++) {
        for (int shift = 0; shift <= 16; shift += 8) {
          assertThat(one.getRGB(x, y) >> shift & 0xFF)
              .isCloseTo(other.getRGB(x, y) >> shift & 0xFF, within(1));
        }
      }
    }
  }

  /** Of the picture that the pack doesn't resize, as transformers gives it. */
  @Test
  void attentionIsAColumn() throws IOException {
    JsonNode expected =
        new ObjectMapper().readTree(FIXTURES.resolve("dinov2-attention/expected.json").toFile());
    Path pictures = Files.createDirectory(folder.resolve("pictures"));
    for (int i = 0; i < 3; i++) {
      write(expected.path("images").path(i), pictures.resolve(i + ".png"));
    }
    Files.write(pictures.resolve("bad.png"), new byte[] {1, 2, 3});
    Result result =
        run("embed", pictures, "dinov2-attention", "out", "--attention", "--max-error-rate", 0.5);
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(TestJobs.spark().read().parquet(folder.resolve("out").toString()).schema())
        .satisfies(
            schema ->
                assertThat(schema.fieldNames())
                    .contains("embedding", "attention", "map_height", "map_width")
                    .doesNotContain("tokens", "token_count", "truncated"))
        .extracting(schema -> schema.apply("attention").dataType().catalogString())
        .isEqualTo("array<array<float>>");
    List<Row> good = rows("out").stream().filter(r -> r.<Object>getAs("error") == null).toList();
    assertThat(good).hasSize(3);
    ByteBuffer weights =
        ByteBuffer.wrap(Base64.getDecoder().decode(expected.at("/weights/float32").asText()))
            .order(ByteOrder.LITTLE_ENDIAN);
    for (Row row : good) {
      List<Seq<Float>> attention = row.getList(row.fieldIndex("attention"));
      assertThat(attention).hasSize(20).allSatisfy(w -> assertThat(w.length()).isEqualTo(20));
      assertThat(List.of(row.<Integer>getAs("map_height"), row.<Integer>getAs("map_width")))
          .containsExactly(4, 4);
      if (row.<String>getAs("path").endsWith("/1.png")) {
        for (int i = 0; i < 400; i++) {
          assertThat(attention.get(i / 20).apply(i % 20))
              .isCloseTo(weights.getFloat((400 + i) * Float.BYTES), within(1e-5f));
        }
      }
    }
    assertThat(rows("out").stream().filter(r -> r.<Object>getAs("error") != null)).hasSize(1);
    // As docs/tasks/embed.md has it.
    assertThat(
            TestJobs.spark()
                .read()
                .parquet(folder.resolve("out").toString())
                .selectExpr(
                    "slice(attention[0], -map_height * map_width, map_height * map_width) AS map",
                    "attention")
                .where("map[0] = attention[0][4] AND size(map) = 16")
                .count())
        .isEqualTo(3);
  }

  private static void write(JsonNode picture, Path file) throws IOException {
    int width = picture.path("width").asInt();
    byte[] rgb = Base64.getDecoder().decode(picture.path("rgb").asText());
    BufferedImage image =
        new BufferedImage(width, picture.path("height").asInt(), BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < rgb.length / 3; i++) {
      Color color = new Color(rgb[3 * i] & 0xFF, rgb[3 * i + 1] & 0xFF, rgb[3 * i + 2] & 0xFF);
      image.setRGB(i % width, i / width, color.getRGB());
    }
    ImageIO.write(image, "png", file.toFile());
  }

  /** Whether it can be shown is known only when the column is, too. */
  @Test
  void attentionToTextsOfAModelForBothIsRefused() throws IOException {
    Path texts = folder.resolve("texts.txt");
    Files.write(texts, List.of("a red boat"));
    Result refused = run("embed", texts, "clip-attention", "out", "--attention");
    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err())
        .contains(
            "attention: true (expected: images; of a model for both, texts do not show their"
                + " attention)");
    Result embedded = run("embed", texts, "clip-attention", "out");
    assertThat(embedded.status()).as(embedded.err()).isZero();
    assertThat(rows("out").get(0).getList(rows("out").get(0).fieldIndex("embedding"))).hasSize(24);
  }

  @Test
  void seedsAreImages() throws IOException {
    Path seeds = folder.resolve("seeds.txt");
    Files.write(seeds, List.of("1", "2", "2", "x"));
    Result result = run("sample", seeds, "dcgan", "out", "--score", "--max-error-rate", 0.5);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> good = rows("out").stream().filter(r -> r.<Object>getAs("error") == null).toList();
    assertThat(good).hasSize(3);
    BufferedImage image =
        ImageIO.read(new ByteArrayInputStream(good.get(0).<byte[]>getAs("image")));
    assertThat(List.of(image.getWidth(), image.getHeight())).containsExactly(32, 32);
    assertThat(good.stream().map(r -> r.<Float>getAs("score")).distinct()).hasSize(2);
    assertThat(rows("out").stream().filter(r -> r.<Object>getAs("error") != null))
        .singleElement()
        .extracting(r -> r.<Row>getAs("error").getString(2))
        .isEqualTo("seed: x (expected: a whole number)");
  }

  /** Paths in an array, and in a second run the files themselves. */
  @Test
  void framesFollowFrames() throws IOException {
    for (int i = 0; i < 3; i++) {
      BufferedImage frame = new BufferedImage(32, 32, BufferedImage.TYPE_INT_RGB);
      frame.createGraphics().fillRect(8 * i, 8, 8, 8);
      ImageIO.write(frame, "png", folder.resolve(i + ".png").toFile());
    }
    Path rows = folder.resolve("rows.jsonl");
    Files.write(
        rows,
        List.of(
            "{\"frames\": [\"0.png\", \"1.png\", \"2.png\"]}",
            "{\"frames\": [\"0.png\", \"none.png\"]}",
            "{\"frames\": []}"));
    Result result =
        run("next-frame", rows, "next-frame", "out", "--num-frames", 2, "--max-error-rate", 0.9);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> good = rows("out").stream().filter(r -> r.<Object>getAs("error") == null).toList();
    assertThat(good.stream().map(r -> r.<Integer>getAs("image_index")).sorted())
        .containsExactly(0, 1);
    assertThat(
            rows("out").stream()
                .filter(r -> r.<Object>getAs("error") != null)
                .map(r -> r.<Row>getAs("error").getString(1)))
        .containsExactlyInAnyOrder("missing_file", "no_images");
    List<Row> files =
        List.of(
            RowFactory.create(
                List.of(
                    Files.readAllBytes(folder.resolve("0.png")),
                    Files.readAllBytes(folder.resolve("1.png")),
                    Files.readAllBytes(folder.resolve("2.png")))));
    TestJobs.spark()
        .createDataFrame(files, StructType.fromDDL("clip ARRAY<BINARY>"))
        .write()
        .parquet(folder.resolve("clips").toString());
    Result second =
        run("next-frame", folder.resolve("clips"), "next-frame", "again", "--column", "clip");
    assertThat(second.status()).as(second.err()).isZero();
    Row first =
        good.stream().filter(r -> r.<Integer>getAs("image_index") == 0).findFirst().orElseThrow();
    assertClose(rows("again").get(0).getAs("image"), first.getAs("image"));
  }

  @Test
  void classesAndWaysBetweenSeeds() throws IOException {
    Path rows = folder.resolve("rows.jsonl");
    Files.write(
        rows,
        List.of(
            "{\"seed\": 1, \"end\": 5, \"class\": 0}", "{\"seed\": 1, \"end\": 5, \"class\": 2}"));
    Result result =
        run(
            "sample",
            rows,
            "stylegan",
            "out",
            "--end-seed-column",
            "end",
            "--label-column",
            "class",
            "--interpolation-steps",
            4,
            "--truncation-psi",
            0.7);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> images = rows("out");
    assertThat(images).hasSize(8);
    assertThat(images.stream().map(r -> r.<Integer>getAs("image_index")).sorted())
        .containsExactly(0, 0, 1, 1, 2, 2, 3, 3);
  }
}
