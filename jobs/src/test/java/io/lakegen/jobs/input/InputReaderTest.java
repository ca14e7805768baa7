package io.lakegen.jobs.input;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.TestJobs;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.spark.OutputSchema;
import io.lakegen.task.Argument;
import io.lakegen.task.Input;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.zip.GZIPOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InputReaderTest {
  @TempDir Path folder;

  private final Problems problems = new Problems();

  private Path file(String name, String latin1) throws IOException {
    return Files.write(folder.resolve(name), latin1.getBytes(StandardCharsets.ISO_8859_1));
  }

  private Optional<InputFiles> find(InputFormat format, String... uris) {
    return InputFiles.find(List.of(uris), format, new Coverage(), new Configuration(), problems);
  }

  private Dataset<Row> read(String... uris) {
    InputFiles files = find(null, uris).orElseThrow();
    InputReader reader = new InputReader(TestJobs.spark(), files, "text", Optional.empty());
    return reader.rows(
        reader.schema(files.left()), Partitions.cut(files.left(), 3, files.format()));
  }

  /** A row's bytes, error type and error message in short. */
  private static List<String> outcomes(Dataset<Row> rows) {
    return rows
        .selectExpr(
            "concat_ws('|', coalesce(decode(cast(text as binary), 'ISO-8859-1'), 'null'), coalesce("
                + OutputSchema.READ_ERROR
                + ".type, 'ok'))")
        .collectAsList()
        .stream()
        .map(r -> r.getString(0))
        .toList();
  }

  private static List<String> texts(Dataset<Row> rows) {
    return rows.select("text").collectAsList().stream().map(r -> r.getString(0)).toList();
  }

  @Test
  void aTextFileIsARowALineWithItsBytesUnchanged() throws IOException {
    Dataset<Row> rows = read(file("a.txt", "one\r\n\ntwo \u00ff\nlast").toString());
    assertThat(rows.schema().fieldNames()).containsExactly("text", OutputSchema.FILE);
    assertThat(
            rows.selectExpr("decode(cast(text as binary), 'ISO-8859-1')").collectAsList().stream()
                .map(r -> r.getString(0)))
        .containsExactly("one", "", "two \u00ff", "last");
  }

  @Test
  void jsonLinesKeepTheirPlaceAndSayWhatIsWrong() throws IOException {
    Path file =
        file(
            "a.jsonl",
            "{\"id\":1,\"text\":\"one\"}\n{\"text\":42}\n{\"text\":null}\n{\"text\":{\"x\":1}}\n{broken\n\n"
                + "{\"text\":\"bad \u00ff\"}\n[1]\n{\"id\":2}\n{\"text\":\"caf\u00c3\u00a9\"}\n");
    Dataset<Row> rows = read(file.toString());
    assertThat(outcomes(rows))
        .hasSize(9)
        .startsWith(
            "one|ok", "42|wrong_type", "null|ok", "{\"x\":1}|wrong_type", "null|malformed_json")
        .endsWith("null|malformed_json", "null|ok", "caf\u00c3\u00a9|ok");
    assertThat(outcomes(rows).get(5)).endsWith("|invalid_utf8");
    assertThat(
            rows.selectExpr(OutputSchema.READ_ERROR + ".message")
                .collectAsList()
                .get(1)
                .getString(0))
        .isEqualTo("text is BIGINT (expected: STRING) in the line: {\"text\":42}");
  }

  @Test
  void aJsonColumnOfAnotherTypeKeepsItForTheDriverToRefuse() throws IOException {
    String path = file("a.jsonl", "{\"text\":1}\n{\"text\":2}\n").toString();
    Input text = new Input("text", Argument.Kind.TEXT, "text", "column");
    BoundInputs.bind(
        read(path).schema(),
        find(null, path).orElseThrow(),
        List.of(text),
        ColumnChoice.ALL,
        problems);
    assertThat(problems.list().stream().map(Problem::toString).toList())
        .containsExactly("column: text is bigint (expected: a column of type string)");
  }

  @Test
  void csvKeepsQuotedLineBreaksBytesAndLeadingZeros() throws IOException {
    Path file =
        file(
            "a.csv",
            "id,text,n\u00c3\u00a4me\n007,\"two\nlines, \"\"quoted\"\"\",\u00c3\u00a9\n8,short\n9,a,b,c\n10,bad \u00ff,x\n");
    Dataset<Row> rows = read(file.toString());
    assertThat(rows.columns()).startsWith("id", "text", "n\u00e4me");
    assertThat(outcomes(rows))
        .startsWith(
            "two\nlines, \"quoted\"|ok", "short|malformed_csv", "a|malformed_csv", "bad \u00ff|ok");
    assertThat(rows.select("id").first().getString(0)).isEqualTo("007");
    assertThat(rows.select("n\u00e4me").first().getString(0)).isEqualTo("\u00e9");
  }

  @Test
  void foldersGlobsAndCompressedFilesAreRead() throws IOException {
    file("b.txt", "plain");
    Files.createDirectories(folder.resolve("deep/_hidden"));
    Files.writeString(folder.resolve("deep/_hidden/x.txt"), "hidden");
    Files.writeString(folder.resolve("deep/.hidden.txt"), "hidden");
    try (OutputStream out =
        new GZIPOutputStream(Files.newOutputStream(folder.resolve("deep/c.txt.gz")))) {
      out.write("zipped".getBytes(StandardCharsets.UTF_8));
    }
    assertThat(texts(read(folder.toString()))).containsExactlyInAnyOrder("plain", "zipped");
    assertThat(texts(read(folder + "/b.*"))).containsExactly("plain");
    assertThat(texts(read(folder + "/b.txt", folder + "/deep")))
        .containsExactlyInAnyOrder("plain", "zipped");
  }

  @Test
  void parquetIsReadAsItIs() {
    TestJobs.spark()
        .range(3)
        .selectExpr("id", "concat('t', id) as text")
        .write()
        .parquet(folder + "/p.parquet");
    assertThat(texts(read(folder + "/p.parquet"))).containsExactlyInAnyOrder("t0", "t1", "t2");
  }

  @Test
  void whatCannotBeReadIsReportedWithWhatWasExpected() throws IOException {
    file("a.txt", "x");
    file("b.csv", "text\nx");
    file("c.unknown", "x");
    Files.createDirectory(folder.resolve("empty"));
    assertThat(find(null, folder + "/nothing", folder + "/empty")).isEmpty();
    assertThat(find(null, folder + "/a.txt", folder + "/b.csv")).isEmpty();
    assertThat(find(null, folder + "/c.unknown")).isEmpty();
    assertThat(find(null, "nosuchscheme://x/y")).isEmpty();
    assertThat(problems.list().stream().map(Problem::toString).toList())
        .satisfiesExactly(
            m ->
                assertThat(m)
                    .endsWith(
                        "/nothing (expected: a file, folder or glob that holds at least one file)"),
            m ->
                assertThat(m)
                    .endsWith(
                        "/empty (expected: a file, folder or glob that holds at least one file)"),
            m ->
                assertThat(m)
                    .isEqualTo(
                        "input: files of formats [text, csv] (expected: one format, or --input-format)"),
            m ->
                assertThat(m)
                    .endsWith("c.unknown (expected: a known extension, or --input-format)"),
            m -> assertThat(m).contains("nosuchscheme://x/y (expected: something readable; "));
    assertThat(find(InputFormat.text, folder + "/c.unknown")).isPresent();
  }
}
