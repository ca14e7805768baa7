package io.lakegen.jobs.input;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.TestJobs;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** In a Spark of two slots. */
class PartitionsTest {
  private static Dataset<Row> rows(long rows, int partitions) {
    return TestJobs.spark().range(0, rows, 1, partitions).toDF();
  }

  private static List<Long> ids(Dataset<Row> rows) {
    return rows.collectAsList().stream().map(r -> r.getLong(0)).toList();
  }

  /** Texts are worth a task by the 32, pictures each; no round of tasks has less than 32 rows. */
  @ParameterizedTest
  @CsvSource({
    "1, 32, 1", "63, 32, 1", "64, 32, 2", "100, 32, 2", "128, 32, 4", "100000, 32, 12",
    "24, 32, 1", "24, 10, 2", "24, 4, 2", "7, 4, 1", "8, 4, 2", "1000, 4, 12",
    "1, 1, 1", "2, 1, 2", "16, 1, 2", "127, 1, 2", "128, 1, 4", "100000, 1, 12"
  })
  void rowsOfOnePartitionAreSpreadEvenlyOverConcurrentTasksInOrder(
      long count, int minTaskRows, int partitions) {
    Partitions spread = Partitions.of(TestJobs.spark(), rows(count, 1), minTaskRows);
    assertThat(spread.rows().toJavaRDD().getNumPartitions()).isEqualTo(partitions);
    assertThat(ids(spread.rows())).containsExactlyElementsOf(range(count));
    long largest =
        spread.rows().toJavaRDD().glom().map(List::size).collect().stream()
            .mapToLong(n -> n)
            .max()
            .orElseThrow();
    assertThat(largest).isLessThanOrEqualTo(1 + count * 5 / 4 / partitions);
  }

  private static List<Long> range(long count) {
    return LongStream.range(0, count).boxed().toList();
  }

  @Test
  void goodPartitionsStayAsTheyAre() {
    Dataset<Row> rows = rows(400, 12);
    assertThat(Partitions.of(TestJobs.spark(), rows, 32).rows()).isSameAs(rows);
    Dataset<Row> few = rows(20, 5);
    assertThat(Partitions.of(TestJobs.spark(), few, 32).rows()).isSameAs(few);
    assertThat(Partitions.of(TestJobs.spark(), few, 1).rows()).isSameAs(few);
  }

  /** Tasks at once, rows, tasks. */
  @ParameterizedTest
  @CsvSource({"2, 1977, 4", "2, 4956, 10", "1, 1977, 4", "2, 1, 2", "2, 1024, 2", "2, 1025, 4"})
  void tasksWithFullBatchesComeInWholeRounds(int concurrentTasks, long rows, int tasks) {
    assertThat(Partitions.fullTasks(concurrentTasks, rows, 32)).isEqualTo(tasks);
  }

  /** Eight prompts have few bytes, and minutes of work where pictures are rendered from them. */
  @ParameterizedTest
  @CsvSource({"8, 1, 2", "8, 4, 2", "8, 32, 1", "1, 1, 1", "400, 32, 2"})
  void rowsOfASmallFileAreSpreadAsThoseOfALargeOne(
      int count, int minTaskRows, int partitions, @TempDir Path folder) throws IOException {
    List<String> prompts = LongStream.range(0, count).mapToObj(i -> "prompt " + i).toList();
    String path = Files.write(folder.resolve("prompts.txt"), prompts).toString();
    InputFiles files =
        InputFiles.find(List.of(path), null, new Coverage(), new Configuration(), new Problems())
            .orElseThrow();
    InputReader reader = new InputReader(TestJobs.spark(), files, "text", Optional.empty());
    StructType schema = reader.schema(files.left());
    Dataset<Row> rows =
        Partitions.of(TestJobs.spark(), reader, schema, files.left(), count, minTaskRows).rows();
    assertThat(rows.toJavaRDD().getNumPartitions()).isEqualTo(partitions);
    assertThat(rows.collectAsList()).extracting(r -> r.<String>getAs("text")).isEqualTo(prompts);
  }

  @Test
  void anEmptyInputStaysEmpty() {
    Dataset<Row> none = rows(0, 1);
    Partitions partitions = Partitions.of(TestJobs.spark(), none, 1);
    assertThat(partitions.rows()).isSameAs(none);
  }
}
