package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Corpora as others leave them: WebDataset shards, and the Parquet of Hugging Face's data sets. */
class CorpusJobTest {
  private static final Path RESOURCES = Path.of("../inference/src/test/resources").toAbsolutePath();
  private static final Path PACK = RESOURCES.resolve("fixtures/git/pack").normalize();
  private static final Path IMAGES = RESOURCES.resolve("images").normalize();

  @TempDir Path folder;

  private static byte[] image(String name) throws IOException {
    return Files.readAllBytes(IMAGES.resolve(name));
  }

  private List<Row> caption(Path input, String output, Object... more) {
    List<Object> words = new ArrayList<>(List.of("caption", "--input", input, "--model", PACK));
    words.addAll(List.of("--output", folder.resolve(output), "--max-new-tokens", 4));
    words.addAll(List.of("--max-error-rate", 1));
    words.addAll(List.of(more));
    Result result = TestJobs.run(words.toArray());
    assertThat(result.status()).as(result.err()).isZero();
    return TestJobs.outcomes(folder.resolve(output)).collectAsList();
  }

  /** The captions of images as files. */
  private Map<String, String> captions() throws IOException {
    Path files = Files.createDirectories(folder.resolve("files"));
    for (String name : List.of("rgb.png", "rgb-444.jpg", "grey.png")) {
      Files.copy(IMAGES.resolve(name), files.resolve(name));
    }
    Map<String, String> captions = new TreeMap<>();
    for (Row row : caption(files, "expected")) {
      captions.put(
          new org.apache.hadoop.fs.Path(row.<String>getAs("path")).getName(), row.getAs("caption"));
    }
    return captions;
  }

  private static void add(TarArchiveOutputStream tar, String name, byte[] content)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(content.length);
    tar.putArchiveEntry(entry);
    tar.write(content);
    tar.closeArchiveEntry();
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String error(Row row) {
    Row error = row.getAs("error");
    return error == null ? null : error.getString(0) + "/" + error.getString(1);
  }

  private static Row sample(List<Row> rows, String key) {
    return rows.stream().filter(r -> key.equals(r.getAs("__key__"))).findFirst().orElseThrow();
  }

  @Test
  void webDatasetShards() throws IOException {
    Path shards = Files.createDirectories(folder.resolve("shards"));
    try (OutputStream out = Files.newOutputStream(shards.resolve("00000.tar"));
        TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
      add(tar, "a/0001.png", image("rgb.png"));
      add(tar, "a/0001.txt", utf8("a text"));
      add(tar, "a/0001.json", utf8("{\"url\": \"x\"}"));
      add(tar, "a/0001.npy", new byte[10]);
      add(tar, "a/0002.txt", utf8("without a picture"));
      add(tar, "b.v1/0001.jpg", image("rgb-444.jpg"));
      add(tar, "b.v1/0002.seg.png", image("grey.png"));
      add(tar, "b.v1/0003.png", image("bad/truncated.png"));
    }
    try (OutputStream out = Files.newOutputStream(shards.resolve("00001.tar.gz"));
        GZIPOutputStream gzip = new GZIPOutputStream(out);
        TarArchiveOutputStream tar = new TarArchiveOutputStream(gzip)) {
      add(tar, "0009.png", image("grey.png"));
    }
    Map<String, String> expected = captions();
    List<Row> rows = caption(shards, "out");
    assertThat(rows).hasSize(6);
    Row first = sample(rows, "a/0001");
    assertThat(first.<String>getAs("caption")).isEqualTo(expected.get("rgb.png"));
    assertThat(first.<String>getAs("text")).isEqualTo("a text");
    assertThat(first.<String>getAs("json")).isEqualTo("{\"url\": \"x\"}");
    assertThat(Arrays.asList(first.schema().fieldNames())).doesNotContain("image");
    assertThat(error(sample(rows, "a/0002"))).isEqualTo("prepare/null_image");
    assertThat(sample(rows, "b.v1/0001").<String>getAs("caption"))
        .isEqualTo(expected.get("rgb-444.jpg"));
    assertThat(error(sample(rows, "b.v1/0002"))).isEqualTo("prepare/null_image");
    assertThat(error(sample(rows, "b.v1/0003"))).isEqualTo("prepare/truncated_image");
    assertThat(sample(rows, "0009").<String>getAs("caption")).isEqualTo(expected.get("grey.png"));

    // The same command again reads nothing again.
    assertThat(caption(shards, "out")).hasSize(6);
    assertThat(TestJobs.commits(folder.resolve("out"))).hasSize(1);
  }

  @Test
  void aDamagedShardGivesTheRowsBeforeTheDamage() throws IOException {
    Path whole = folder.resolve("whole.tar");
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(Files.newOutputStream(whole))) {
      add(tar, "1.png", image("rgb.png"));
      add(tar, "2.png", image("grey.png"));
      add(tar, "3.png", image("rgb.png"));
    }
    Path cut = folder.resolve("cut.tar");
    int second = 512 + (image("rgb.png").length + 511) / 512 * 512;
    Files.write(cut, Arrays.copyOf(Files.readAllBytes(whole), second + 600));
    List<Row> rows = caption(cut, "cut");
    assertThat(rows).hasSize(2);
    assertThat(error(sample(rows, "1"))).isNull();
    assertThat(error(sample(rows, "2"))).isEqualTo("read/damaged_file");
    assertThat(sample(rows, "2").<Row>getAs("error").<String>getAs("message"))
        .contains("cut.tar: ", "samples that follow are lost");

    Path noise = folder.resolve("noise.tar");
    Files.write(noise, utf8("no tar at all, but long enough to be looked at ".repeat(40)));
    assertThat(caption(noise, "noise"))
        .extracting(CorpusJobTest::error)
        .containsExactly("read/damaged_file");
  }

  @Test
  void imageStructsOfHuggingFace() throws IOException {
    StructType image =
        new StructType().add("bytes", DataTypes.BinaryType).add("path", DataTypes.StringType);
    StructType schema = new StructType().add("id", DataTypes.IntegerType).add("picture", image);
    Path table = folder.resolve("table");
    TestJobs.spark()
        .createDataFrame(
            List.of(
                RowFactory.create(1, RowFactory.create(image("rgb.png"), "somewhere/rgb.png")),
                RowFactory.create(2, RowFactory.create(null, IMAGES + "/rgb-444.jpg")),
                RowFactory.create(3, RowFactory.create(null, "no/such.png")),
                RowFactory.create(4, null)),
            schema)
        .coalesce(1)
        .write()
        .parquet(table.toString());
    Map<String, String> expected = captions();
    List<Row> rows = new ArrayList<>(caption(table, "out", "--column", "picture"));
    rows.sort(java.util.Comparator.comparingInt(r -> r.<Integer>getAs("id")));
    assertThat(rows)
        .extracting(CorpusJobTest::error)
        .containsExactly(null, null, "read/missing_file", "prepare/null_image");
    assertThat(rows.get(0).<String>getAs("caption")).isEqualTo(expected.get("rgb.png"));
    assertThat(rows.get(1).<String>getAs("caption")).isEqualTo(expected.get("rgb-444.jpg"));
    assertThat(rows.get(0).<String>getAs("picture_path")).isEqualTo("somewhere/rgb.png");
    assertThat(Arrays.asList(rows.get(0).schema().fieldNames())).doesNotContain("picture");
    List<Row> kept = caption(table, "kept", "--column", "picture", "--keep-image");
    assertThat(
            kept.stream()
                .filter(r -> r.<Integer>getAs("id") == 1)
                .map(r -> r.<byte[]>getAs("picture")))
        .containsExactly(image("rgb.png"));
  }
}
