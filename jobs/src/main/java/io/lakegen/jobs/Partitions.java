package io.lakegen.jobs;

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
 * @param slots Spark tasks that run at once
 */
record Partitions(Dataset<Row> rows, long rowCount, int slots) {
  private static final Logger LOG = LoggerFactory.getLogger(Partitions.class);

  /**
   * Enough for the last tasks to end close together, few enough that windows are long and files not
   * tiny.
   */
  static final int PER_SLOT = 6;

  /** Rows that make a further round of tasks worth its start. */
  private static final int ROUND_ROWS = 32;

  private static final String POSITION = "__lakegen_position";

  /** Lets Spark cut splittable files finely enough; to be called before the files are read. */
  static void configure(SparkSession spark) {
    spark.conf().set("spark.sql.files.minPartitionNum", Integer.toString(wanted(spark)));
    // Spark would otherwise count a small file as 4 MiB, and not cut below that either.
    spark.conf().set("spark.sql.files.openCostInBytes", "4096");
  }

  /** Partitions of an input that is large enough. */
  static int wanted(SparkSession spark) {
    return Cluster.slots(spark.sparkContext()) * PER_SLOT;
  }

  /** Partitions of rows that can be cut anywhere: long enough for full batches, even over slots. */
  static int wanted(SparkSession spark, int rows) {
    return wanted(Cluster.slots(spark.sparkContext()), rows, 1);
  }

  private static int wanted(int slots, long rows, int minTaskRows) {
    long rounds = Math.max(1, Math.min(PER_SLOT, rows / ROUND_ROWS / slots));
    return (int) Math.max(1, Math.min(rows / minTaskRows, rounds * slots));
  }

  /**
   * Counts the rows, and moves them where the files' own cuts leave too few or too uneven
   * partitions.
   *
   * @param minTaskRows rows that are worth a Spark task of their own
   */
  static Partitions of(SparkSession spark, Dataset<Row> rows, int minTaskRows) {
    int slots = Cluster.slots(spark.sparkContext());
    List<Row> counts =
        rows.select(spark_partition_id().as("p")).groupBy("p").count().collectAsList();
    long total = counts.stream().mapToLong(c -> c.getLong(1)).sum();
    long largest = counts.stream().mapToLong(c -> c.getLong(1)).max().orElse(0);
    int wanted = wanted(slots, total, minTaskRows);
    if (counts.size() >= Math.min(total, Math.min(slots, wanted))
        && largest <= 2 * Math.max(minTaskRows, total / wanted)) {
      return new Partitions(rows, total, slots);
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
    return new Partitions(spread, total, slots);
  }
}
