package io.lakegen.jobs.input;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.monotonically_increasing_id;
import static org.apache.spark.sql.functions.spark_partition_id;

import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The input, cut so that every device has work to the end, with the rows in their order.
 *
 * @param rows the input rows
 * @param rowCount how many there are
 * @param concurrentTasks Spark tasks that run at once
 */
public record Partitions(Dataset<Row> rows, long rowCount, int concurrentTasks) {
  private static final Logger LOG = LoggerFactory.getLogger(Partitions.class);

  /**
   * Rounds of tasks: enough for the last tasks to end close together, few enough that windows are
   * long and files not tiny.
   */
  static final int ROUNDS = 6;

  /** Rows that make a further round of tasks worth its start. */
  private static final int ROUND_ROWS = 32;

  private static final String POSITION = "__lakegen_position";

  /** Lets Spark cut splittable files finely enough; to be called before the files are read. */
  public static void configure(SparkSession spark) {
    spark.conf().set("spark.sql.files.minPartitionNum", Integer.toString(wanted(spark)));
    // Spark would otherwise count a small file as 4 MiB, and not cut below that either.
    spark.conf().set("spark.sql.files.openCostInBytes", "4096");
  }

  /** Partitions of an input that is large enough. */
  static int wanted(SparkSession spark) {
    return Cluster.concurrentTasks(spark.sparkContext()) * ROUNDS;
  }

  /** Partitions of rows that can be cut anywhere: long enough for full batches, in even rounds. */
  static int wanted(SparkSession spark, int rows) {
    return wanted(Cluster.concurrentTasks(spark.sparkContext()), rows, 1);
  }

  private static int wanted(int concurrentTasks, long rows, int minTaskRows) {
    long rounds = Math.max(1, Math.min(ROUNDS, rows / ROUND_ROWS / concurrentTasks));
    return (int) Math.max(1, Math.min(rows / minTaskRows, rounds * concurrentTasks));
  }

  /**
   * Counts the rows, and moves them where the files' own cuts leave too few or too uneven
   * partitions.
   *
   * @param minTaskRows rows that are worth a Spark task of their own
   */
  public static Partitions of(SparkSession spark, Dataset<Row> rows, int minTaskRows) {
    int concurrentTasks = Cluster.concurrentTasks(spark.sparkContext());
    List<Row> counts =
        rows.select(spark_partition_id().as("p")).groupBy("p").count().collectAsList();
    long total = counts.stream().mapToLong(c -> c.getLong(1)).sum();
    long largest = counts.stream().mapToLong(c -> c.getLong(1)).max().orElse(0);
    int wanted = wanted(concurrentTasks, total, minTaskRows);
    if (counts.size() >= Math.min(total, Math.min(concurrentTasks, wanted))
        && largest <= 2 * Math.max(minTaskRows, total / wanted)) {
      return new Partitions(rows, total, concurrentTasks);
    }
    LOG.info(
        "the input comes in {} parts: moving {} rows into {} even ones",
        counts.size(),
        total,
        wanted);
    Dataset<Row> spread =
        rows.withColumn(POSITION, monotonically_increasing_id())
            .repartitionByRange(wanted, col(POSITION))
            .sortWithinPartitions(POSITION)
            .drop(POSITION);
    return new Partitions(spread, total, concurrentTasks);
  }
}
