package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.jobs.TestJobs;
import io.lakegen.problem.InvalidArgumentsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Jobs over tables of the session's catalogue. */
class InputTableTest {
  @TempDir Path folder;

  private final SparkSession spark = TestJobs.spark();

  @BeforeEach
  void make() {
    LengthTask.BROKEN.clear();
    LengthTask.healed = false;
    spark.sql("CREATE DATABASE news");
    spark.sql(
        "CREATE TABLE news.articles (text STRING, day DATE, n INT) USING parquet PARTITIONED BY"
            + " (day) LOCATION '"
            + folder
            + "/articles'");
    insert(0, 20);
  }

  @AfterEach
  void drop() {
    spark.sql("DROP DATABASE news CASCADE");
  }

  private void insert(int from, int to) {
    spark.sql(
        "INSERT INTO news.articles SELECT concat('text ', id, if(id % 10 = 3, ' bad', '')),"
            + " int(id), date_add(date'2026-11-01', int(id % 2)) FROM range("
            + from
            + ", "
            + to
            + ")");
  }

  private JobSpec spec(String table) {
    return JobSpec.of(new LengthTask())
        .with(JobOptions.INPUT_TABLE, table)
        .with(JobOptions.MODEL, LengthMain.PACK.toString())
        .with(JobOptions.OUTPUT, folder + "/out");
  }

  private RunSummary run(String table) throws IOException {
    return Jobs.run(spark, spec(table), System.err);
  }

  @Test
  void aTableIsReadWithItsTypesAndResumedByItsFiles() throws IOException {
    RunSummary first = run("news.articles");
    assertThat(first.toString()).contains("20");
    insert(20, 30);
    RunSummary second = run("news.articles");

    assertThat(second.skipped()).isEqualTo(20);
    assertThat(TestJobs.rows(folder + "/out").schema().apply("day").dataType())
        .isEqualTo(DataTypes.DateType);
    List<Row> expected = spark.sql("SELECT text, n, day FROM news.articles").collectAsList();
    assertThat(expected).hasSize(30);
    assertThat(TestJobs.outcomes(folder + "/out").select("text", "n", "day").collectAsList())
        .containsExactlyInAnyOrderElementsOf(expected);
  }

  @Test
  void aColumnThatCameLaterIsNullInOlderFiles() throws IOException {
    spark.sql("ALTER TABLE news.articles ADD COLUMN author STRING");
    run("news.articles");

    assertThat(TestJobs.outcomes(folder + "/out").where("author is null").count()).isEqualTo(20);
  }

  @Test
  void aViewOfAllOfATableIsThatTable() throws IOException {
    spark.sql("CREATE VIEW news.all AS SELECT * FROM news.articles");
    run("news.all");

    assertThat(TestJobs.outcomes(folder + "/out").count()).isEqualTo(20);
  }

  @Test
  void whatIsNoTableOfParquetFilesIsRefused() throws IOException {
    spark.sql("CREATE VIEW news.some AS SELECT text FROM news.articles WHERE n < 5");
    spark.sql("CREATE TABLE news.plain (text STRING) USING csv");

    assertRefused("news.none", "input-table: news.none (expected: a table of the session's");
    assertRefused("no table", "input-table: no table (expected: a table of the session's");
    assertRefused(
        "news.some",
        "(expected: a table or view that is kept in Parquet files alone; CREATE TABLE copy USING"
            + " parquet AS SELECT * FROM news.some makes one)");
    assertRefused("news.plain", "input-table: news.plain is CSV files in [");
    Files.copy(parquetFile(), folder.resolve("articles/unknown.parquet"));
    assertRefused("news.articles", "input-table: 4 files in the catalogue, and 5 in file:");
  }

  private Path parquetFile() throws IOException {
    try (var files = Files.walk(folder.resolve("articles"))) {
      return files.filter(f -> f.toString().endsWith(".parquet")).findFirst().orElseThrow();
    }
  }

  @Test
  void otherInputIsRefusedBesideATable() {
    assertThatThrownBy(
            () ->
                Jobs.run(
                    spark,
                    spec("news.articles").with(JobOptions.INPUT, List.of("texts.txt")),
                    System.err))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageContaining("neither --input nor --input-format with it");
  }

  private void assertRefused(String table, String message) {
    assertThatThrownBy(() -> run(table))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageContaining(message);
  }
}
