package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The job over a tiny random Stable Diffusion, whose own size is 32 x 32. */
class RenderJobTest {
  private static final Path FIXTURES =
      Path.of("../inference/src/test/resources/fixtures").toAbsolutePath().normalize();
  private static final Path PACK = FIXTURES.resolve("stable-diffusion/pack");

  @TempDir Path folder;

  private Result render(Path input, String output, Object... more) {
    List<Object> args =
        new ArrayList<>(
            List.of(
                "render", "--input", input, "--model", PACK, "--output", folder.resolve(output)));
    args.addAll(List.of(more));
    if (!args.contains("--num-inference-steps")) {
      args.addAll(List.of("--num-inference-steps", 4));
    }
    return TestJobs.run(args.toArray());
  }

  private List<Row> rows(String output) {
    return TestJobs.outcomes(folder.resolve(output)).collectAsList();
  }

  private Path write(String name, String... lines) throws IOException {
    return Files.write(folder.resolve(name), List.of(lines));
  }

  private static BufferedImage image(Row row) throws IOException {
    return ImageIO.read(new ByteArrayInputStream(row.<byte[]>getAs("image")));
  }

  private static String error(Row row) {
    Row error = row.getAs("error");
    return error == null
        ? null
        : error.getString(0) + "/" + error.getString(1) + ": " + error.getString(2);
  }

  /** Largest difference of two images in any channel. */
  private static int difference(BufferedImage a, BufferedImage b) {
    int largest = 0;
    for (int y = 0; y < a.getHeight(); y++) {
      for (int x = 0; x < a.getWidth(); x++) {
        for (int shift = 0; shift <= 16; shift += 8) {
          int one = a.getRGB(x, y) >> shift & 0xFF;
          largest = Math.max(largest, Math.abs(one - (b.getRGB(x, y) >> shift & 0xFF)));
        }
      }
    }
    return largest;
  }

  @Test
  void everyPromptGetsItsImageAndBadRowsTheirError() throws IOException {
    Path input =
        write(
            "prompts.jsonl",
            "{\"id\": 1, \"prompt\": \"a small red boat\"}",
            "{\"id\": 2, \"prompt\": \"\"}",
            "{\"id\": 3, \"prompt\": \"" + "bread ".repeat(60) + "\"}");
    Result result = render(input, "out", "--max-error-rate", 0.5);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows = rows("out");
    assertThat(rows).hasSize(3);
    for (Row row : rows) {
      long id = row.getAs("id");
      if (id == 2) {
        assertThat(error(row)).startsWith("prepare/empty_text");
        assertThat(row.<Object>getAs("image")).isNull();
        continue;
      }
      assertThat(error(row)).isNull();
      BufferedImage image = image(row);
      assertThat(List.of(image.getWidth(), image.getHeight())).containsOnly(32);
      assertThat(List.of(row.<Integer>getAs("width"), row.<Integer>getAs("height")))
          .containsOnly(32);
      assertThat(row.<Long>getAs("seed")).isEqualTo(row.<Row>getAs("lineage").<Long>getAs("seed"));
      assertThat(row.<String>getAs("scheduler")).isEqualTo("DDIMScheduler");
      assertThat(row.<Integer>getAs("steps")).isEqualTo(4);
      assertThat(row.<Double>getAs("guidance_scale")).isEqualTo(7.5);
      assertThat(row.<Boolean>getAs("truncated")).isEqualTo(id == 3);
    }
  }

  /** One row alone, among many, and in another partition: the same image within 1 of 255. */
  @Test
  void anImageDoesNotDependOnPartitionOrBatch() throws IOException {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < 80; i++) {
      lines.add("{\"id\": " + i + ", \"prompt\": \"a boat on lake " + i + "\"}");
    }
    Path many = Files.write(folder.resolve("many.jsonl"), lines);
    // The key, and with it the seed, is of the row alone, not of its file or place.
    Path one = write("one.jsonl", lines.get(77));
    for (Path input : List.of(many, one)) {
      Result result =
          render(
              input,
              input.getFileName() + "-out",
              "--scheduler",
              "EulerAncestralDiscreteScheduler",
              "--batch-budget",
              8 * 32 * 32);
      assertThat(result.status()).as(result.err()).isZero();
    }
    Row alone = rows("one.jsonl-out").get(0);
    Row among =
        rows("many.jsonl-out").stream()
            .filter(r -> r.<Long>getAs("id") == 77)
            .findFirst()
            .orElseThrow();
    assertThat(among.<Long>getAs("seed")).isEqualTo(alone.<Long>getAs("seed"));
    assertThat(difference(image(alone), image(among))).isLessThanOrEqualTo(1);
    assertThat(rows("many.jsonl-out").stream().map(r -> Arrays.hashCode(r.<byte[]>getAs("image"))))
        .doesNotHaveDuplicates();
  }

  /**
   * Every kind of model: a row alone is what it is in another partition, in a batch of eight. Seeds
   * are named: rows that hold the path of a temporary folder would have others in every run, and
   * with one in thirty the random weights of unCLIP make much of the last bits.
   *
   * @param columns of pictures that the kind needs
   */
  @ParameterizedTest
  @CsvSource({
    "stable-diffusion-inpaint, --image-column --mask-column",
    "stable-diffusion-xl,",
    "stable-diffusion-3,",
    "sana,",
    "stable-diffusion-controlnet, --control-column",
    "stable-diffusion-upscale, --image-column",
    "stable-diffusion-latent-upscale, --image-column",
    "unclip,",
    "deepfloyd-if,"
  })
  void imagesOfAKindDoNotDependOnPartitionOrBatch(String kind, String columns) throws IOException {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      BufferedImage picture = new BufferedImage(32, 32, BufferedImage.TYPE_INT_RGB);
      picture.createGraphics().fillOval(i, 4, 14, 20);
      ImageIO.write(picture, "png", folder.resolve(i + ".png").toFile());
      lines.add(
          "{\"id\": %d, \"seed\": %d, \"prompt\": \"a boat on lake %d\", \"file\": \"%s\"}"
              .formatted(i, i, i, folder.resolve(i + ".png")));
    }
    // 16 rows are two tasks of 8.
    write("many.jsonl", lines.toArray(String[]::new));
    write("one.jsonl", lines.get(11));
    for (String input : List.of("many", "one")) {
      List<Object> args =
          new ArrayList<>(
              List.of(
                  "render",
                  "--input",
                  folder.resolve(input + ".jsonl"),
                  "--model",
                  FIXTURES.resolve(kind).resolve("pack"),
                  "--output",
                  folder.resolve(input + "-out"),
                  "--num-inference-steps",
                  3,
                  "--override-columns",
                  "seed",
                  "--batch-budget",
                  8 * 64 * 64));
      if (columns != null) {
        Stream.of(columns.split(" ")).forEach(c -> args.addAll(List.of(c, "file")));
      }
      Result result = TestJobs.run(args.toArray());
      assertThat(result.status()).as(result.err()).isZero();
    }
    Dataset<Row> outcomes = TestJobs.outcomes(folder.resolve("many-out"));
    // A task writes a file.
    assertThat(Stream.of(outcomes.inputFiles()).distinct().count()).isGreaterThan(1);
    List<Row> many = outcomes.collectAsList();
    Row alone = rows("one-out").get(0);
    assertThat(many).hasSize(16).noneMatch(r -> error(r) != null);
    Row among = many.stream().filter(r -> r.<Long>getAs("id") == 11).findFirst().orElseThrow();
    assertThat(difference(image(alone), image(among))).isLessThanOrEqualTo(1);
    assertThat(many.stream().map(r -> Arrays.hashCode(r.<byte[]>getAs("image"))))
        .doesNotHaveDuplicates();
  }

  /** Stages have options of their own, and the same command again does nothing. */
  @Test
  void aModelOfSeveralStagesTakesTheTasksOptions() throws IOException {
    Path input =
        write(
            "prompts.jsonl",
            "{\"prompt\": \"a boat\", \"num_inference_steps\": 3, \"height\": 64}",
            "{\"prompt\": \"bread\", \"num_inference_steps\": 1, \"height\": null}",
            "{\"prompt\": \"rice\", \"num_inference_steps\": null, \"height\": 64}");
    List<Object> args =
        List.of(
            "render",
            "--input",
            input,
            "--model",
            FIXTURES.resolve("unclip/pack"),
            "--prior-num-inference-steps",
            3,
            "--super-res-num-inference-steps",
            2,
            "--num-images-per-prompt",
            2,
            "--override-columns",
            "num_inference_steps,height",
            "--max-error-rate",
            0.5,
            "--output",
            folder.resolve("out"));
    for (int run = 0; run < 2; run++) {
      Result result = TestJobs.run(args.toArray());
      assertThat(result.status()).as(result.err()).isZero();
    }
    List<Row> rows = rows("out");
    List<Row> good = rows.stream().filter(r -> error(r) == null).toList();
    assertThat(good.stream().map(r -> r.<Integer>getAs("steps")))
        .as("those asked for, or diffusers' of such a model")
        .containsExactlyInAnyOrder(3, 3, 25, 25);
    for (Row row : rows) {
      if (error(row) != null) {
        assertThat(error(row))
            .isEqualTo("prepare/bad_option: num-inference-steps: 1 (expected: 2 to 999)");
        continue;
      }
      assertThat(List.of(image(row).getHeight(), image(row).getWidth())).containsExactly(64, 32);
      assertThat(row.<String>getAs("scheduler")).isEqualTo("UnCLIPScheduler");
    }
    List<Object> wrong = new ArrayList<>(args.subList(0, 5));
    wrong.addAll(
        List.of(
            "--output",
            folder.resolve("other"),
            "--prior-num-inference-steps",
            1,
            "--super-res-guidance-scale",
            3,
            "--scheduler",
            "DDIMScheduler",
            "--noise-level",
            4));
    Result refused = TestJobs.run(wrong.toArray());
    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err())
        .contains("prior-num-inference-steps: 1 (expected: 2 to 999)")
        .contains("super-res-guidance-scale: 3.0 (expected: none; the model has no such guidance)")
        .contains(
            "scheduler: DDIMScheduler (expected: none; each stage of the model has its own"
                + " scheduler)")
        .contains("noise-level: 4 (expected: none; the model enlarges nothing)");
  }

  @Test
  void columnsOverrideOptionsRowByRow() throws IOException {
    Path input =
        write(
            "prompts.csv",
            "prompt,seed,height,num_inference_steps,guidance_scale,negative_prompt",
            "a boat,42,64,6,1.0,",
            "a boat,42,,,,water",
            "a boat,42,33,,,",
            "a boat,many,,,,");
    Result result =
        render(
            input,
            "out",
            "--override-columns",
            "seed,height,num_inference_steps,guidance_scale,negative_prompt",
            "--max-error-rate",
            0.5);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows = rows("out");
    List<Row> good = rows.stream().filter(r -> error(r) == null).toList();
    assertThat(good.stream().map(r -> r.<Integer>getAs("height")))
        .containsExactlyInAnyOrder(64, 32);
    assertThat(good.stream().map(r -> r.<Integer>getAs("steps"))).containsExactlyInAnyOrder(6, 4);
    assertThat(good.stream().map(r -> r.<Long>getAs("seed"))).containsOnly(42L);
    assertThat(rows.stream().map(RenderJobTest::error).filter(e -> e != null))
        .containsExactlyInAnyOrder(
            "prepare/bad_option: height: 33 (expected: a multiple of 4 pixels, at most 4096)",
            "prepare/bad_option: seed: many (expected: a whole number)");
  }

  @Test
  void severalImagesOfAPromptAreRowsAndFiles() throws IOException {
    Path input = write("prompts.txt", "a boat", "bread");
    Path files = folder.resolve("files");
    Result result =
        render(
            input,
            "out",
            "--column",
            "prompt",
            "--num-images-per-prompt",
            3,
            "--image-format",
            "jpeg",
            "--files",
            files);
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(result.out() + result.err()).contains("2 input = 2 ok");
    Map<String, byte[]> expected = new TreeMap<>();
    for (Row row : rows("out")) {
      expected.put(
          row.<Row>getAs("lineage").getString(0) + "-" + row.getAs("image_index") + ".jpg",
          row.getAs("image"));
    }
    assertThat(expected).hasSize(6);
    try (Stream<Path> written = Files.list(files)) {
      assertThat(
              written
                  .map(f -> f.getFileName().toString())
                  .filter(n -> !n.endsWith(".crc"))
                  .collect(Collectors.toSet()))
          .isEqualTo(expected.keySet());
    }
    for (Map.Entry<String, byte[]> image : expected.entrySet()) {
      assertThat(Files.readAllBytes(files.resolve(image.getKey()))).isEqualTo(image.getValue());
    }
  }

  @Test
  void theDemosCaptionerNamesWhatItsRendererPaints() throws IOException {
    Path samples = Path.of("../sample-data").toAbsolutePath().normalize();
    Path pictures = folder.resolve("pictures");
    Result rendered =
        TestJobs.run(
            "render",
            "--input",
            samples.resolve("prompts/pictures.jsonl"),
            "--model",
            samples.resolve("models/emoji-diffusion"),
            "--num-inference-steps",
            20,
            "--guidance-scale",
            4,
            "--seed",
            1,
            "--files",
            pictures,
            "--output",
            folder.resolve("out"));
    assertThat(rendered.status()).as(rendered.err()).isZero();
    Result captioned =
        TestJobs.run(
            "caption",
            "--input",
            pictures,
            "--model",
            samples.resolve("models/emoji-git"),
            "--output",
            folder.resolve("captions"));
    assertThat(captioned.status()).as(captioned.err()).isZero();
    Map<String, String> captions = new TreeMap<>();
    for (Row row : rows("captions")) {
      String file = Path.of(row.<String>getAs("path")).getFileName().toString();
      captions.put(file.substring(0, file.indexOf('.')), row.getAs("caption"));
    }
    List<Row> rows = rows("out");
    assertThat(rows).hasSize(16);
    long named =
        rows.stream()
            .filter(
                row ->
                    row.getAs("prompt")
                        .equals(captions.get(row.<Row>getAs("lineage").getString(0))))
            .count();
    // A prompt's exact name; of 16 real pictures the captioner names about 12.
    assertThat(named).as(captions.values().toString()).isGreaterThanOrEqualTo(8);
  }

  /** The pack's scheduler is Stable Diffusion 1.5's, which runs without being asked. */
  @Test
  void maskedPartsOfImagesArePaintedAnew() throws IOException {
    BufferedImage start = new BufferedImage(50, 40, BufferedImage.TYPE_INT_RGB);
    ImageIO.write(start, "png", folder.resolve("black.png").toFile());
    start.createGraphics().fillRect(0, 0, 25, 40);
    ImageIO.write(start, "png", folder.resolve("left.png").toFile());
    Path input =
        write(
            "prompts.jsonl",
            "{\"prompt\": \"a boat\", \"file\": \"black.png\", \"where\": \"left.png\"}",
            "{\"prompt\": \"a boat\", \"file\": \"black.png\", \"where\": null}");
    for (String pack : List.of("stable-diffusion", "stable-diffusion-inpaint")) {
      Result result =
          TestJobs.run(
              "render",
              "--input",
              input,
              "--model",
              FIXTURES.resolve(pack).resolve("pack"),
              "--output",
              folder.resolve(pack),
              "--image-column",
              "file",
              "--mask-column",
              "where",
              "--num-inference-steps",
              4,
              "--max-error-rate",
              0.5);
      assertThat(result.status()).as(result.err()).isZero();
      List<Row> rows = rows(pack);
      assertThat(rows.stream().filter(r -> error(r) == null))
          .singleElement()
          .extracting(r -> r.<String>getAs("scheduler"))
          .isEqualTo(pack.equals("stable-diffusion") ? "DDIMScheduler" : "PNDMScheduler");
      assertThat(rows.stream().map(RenderJobTest::error).filter(e -> e != null))
          .containsExactly("prepare/null_image: the image is null (expected: an image file)");
    }
  }

  @Test
  void imagesStartFromImages() throws IOException {
    BufferedImage start = new BufferedImage(50, 40, BufferedImage.TYPE_INT_RGB);
    ImageIO.write(start, "png", folder.resolve("black.png").toFile());
    Path input =
        write(
            "prompts.jsonl",
            "{\"prompt\": \"a boat\", \"file\": \"black.png\"}",
            "{\"prompt\": \"a boat\", \"file\": \"none.png\"}");
    Result result =
        render(input, "out", "--image-column", "file", "--strength", 0.5, "--max-error-rate", 0.5);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows = rows("out");
    assertThat(rows.stream().filter(r -> error(r) == null)).hasSize(1);
    assertThat(rows.stream().map(RenderJobTest::error).filter(e -> e != null))
        .singleElement()
        .asString()
        .startsWith("read/missing_file");
    assertThat(rows.get(0).schema().fieldNames()).doesNotContain("content").contains("file");
  }

  @Test
  void wrongUseIsToldAllAtOnce() throws IOException {
    Path input = write("prompts.jsonl", "{\"prompt\": \"a boat\", \"seed\": true}");
    Result result =
        render(
            input,
            "out",
            "--height",
            33,
            "--num-inference-steps",
            0,
            "--strength",
            0.5,
            "--override-columns",
            "seed,width");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains("height: 33 (expected: a multiple of 4 pixels, at most 4096)")
        .contains("num-inference-steps: 0 (expected: 1 to 999)")
        .contains("strength: 0.5 (expected: only with image-column)")
        .contains("override-columns: seed is boolean (expected: a column of type string or number)")
        .contains("override-columns: width is not in the input");
    assertThat(folder.resolve("out")).doesNotExist();
  }

  /** A column of another task's output is data here: it must not change what is counted. */
  @Test
  void aColumnThatIsCalledAsAnIndexIsCountedAsAnyOther() throws IOException {
    Path input =
        write(
            "prompts.jsonl",
            "{\"prompt\": \"a boat\", \"sequence_index\": 0, \"image_index\": 5}",
            "{\"prompt\": \"bread\", \"sequence_index\": 1, \"image_index\": 5}");
    Result result = render(input, "out");
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(rows("out")).hasSize(2);
  }
}
