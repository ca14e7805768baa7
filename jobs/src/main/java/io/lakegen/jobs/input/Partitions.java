package io.lakegen.jobs.input;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.monotonically_increasing_id;

import io.lakegen.spark.Cluster;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The input, cut so that every device has work to the end, with the rows in their order.
 *
 * @param rows the input rows
 * @param concurrentTasks Spark tasks that run at once
 */
public record Partitions(Dataset<Row> rows, int concurrentTasks) {
  private static final Logger LOG = LoggerFactory.getLogger(Partitions.class);

  /**
   * Rounds of tasks: enough for the last tasks to end close together, few enough that windows are
   * long and files not tiny.
   */
  static final int ROUNDS = 6;

  /** Rows that make a further round of tasks worth its start. */
  private static final int ROUND_ROWS = 32;

  /**
   * Bytes that are worth a part of a file of their own: both parts' readers read beyond the cut.
   * Where fewer hold rows that are worth a task each, the rows are moved.
   */
  private static final long MIN_BYTES = 4096;

  /** A task with so many times the least rows that are worth one has full batches. */
  private static final int FULL_TASKS = 16;

  private static final String POSITION = "__lakegen_position";

  /** Partitions of an input that is large enough. */
  public static int wanted(SparkSession spark) {
    return Cluster.concurrentTasks(spark.sparkContext()) * ROUNDS;
  }

  private static int wanted(int concurrentTasks, long rows, int minTaskRows) {
    long rounds = Math.max(1, Math.min(ROUNDS, rows / ROUND_ROWS / concurrentTasks));
    return (int) Math.max(1, Math.min(rows / minTaskRows, rounds * concurrentTasks));
  }

  /**
   * Tasks with full batches, or nearly so. Whole rounds of them: nothing fills the cores that the
   * last chunk's last tasks leave.
   */
  static int fullTasks(int concurrentTasks, long rows, int minTaskRows) {
    long round = (long) FULL_TASKS * minTaskRows * concurrentTasks;
    return (int) Math.max(1, (rows + round - 1) / round) * concurrentTasks;
  }

  /**
   * What a chunk's Spark job reads.
   *
   * @param ranges of the chunk
   * @param about rows that the ranges have, as far as one can tell
   * @param minTaskRows rows that are worth a Spark task of their own
   */
  public static Partitions of(
      SparkSession spark,
      InputReader reader,
      StructType schema,
      List<Address> ranges,
      long about,
      int minTaskRows) {
    InputFormat format = reader.format();
    int concurrentTasks = Cluster.concurrentTasks(spark.sparkContext());
    boolean anywhere =
        format == InputFormat.image
            // To count a shard's samples is to read it.
            || format == InputFormat.tar
            || (format != InputFormat.parquet
                && ranges.stream().allMatch(r -> format.isSplittable(r.path())));
    if (!anywhere) {
      List<List<Address>> cut = cut(ranges, wanted(spark), format);
      long[] counts = reader.count(schema, cut);
      return spread(
          concurrentTasks,
          reader.rows(schema, cut),
          counts,
          minTaskRows,
          wanted(concurrentTasks, sum(counts), minTaskRows));
    }
    // The next chunk fills the cores that this one's last tasks leave, so that its tasks need not
    // be many; long ones have fuller batches.
    int wanted =
        Math.min(
            wanted(concurrentTasks, about, minTaskRows),
            fullTasks(concurrentTasks, about, minTaskRows));
    List<List<Address>> cut = cut(ranges, wanted, format);
    Dataset<Row> rows = reader.rows(schema, cut);
    if (cut.size() >= wanted || format == InputFormat.tar) {
      return new Partitions(rows, concurrentTasks);
    }
    return spread(concurrentTasks, rows, reader.count(schema, cut), minTaskRows, wanted);
  }

  /** The same for rows that come from elsewhere. */
  static Partitions of(SparkSession spark, Dataset<Row> rows, int minTaskRows) {
    long[] counts = counts(rows);
    int concurrentTasks = Cluster.concurrentTasks(spark.sparkContext());
    int wanted = wanted(concurrentTasks, sum(counts), minTaskRows);
    return spread(concurrentTasks, rows, counts, minTaskRows, wanted);
  }

  /** The first rows of ranges. */
  public static Partitions first(
      SparkSession spark,
      InputReader reader,
      StructType schema,
      List<Address> ranges,
      int rows,
      int minTaskRows) {
    List<List<Address>> cut = cut(spark, ranges, reader);
    return of(spark, reader.rows(schema, cut).limit(rows), minTaskRows);
  }

  /** Cuts ranges into as many parts as keep all cores busy. */
  public static List<List<Address>> cut(
      SparkSession spark, List<Address> ranges, InputReader reader) {
    return cut(ranges, wanted(spark), reader.format());
  }

  /**
   * Cuts ranges into so many parts of one weight, in their order. Files that cannot be cut stay
   * whole, so that there may be fewer parts.
   */
  static List<List<Address>> cut(List<Address> ranges, int wanted, InputFormat format) {
    long total = ranges.stream().mapToLong(format::weight).sum();
    List<List<Address>> parts = new ArrayList<>();
    List<Address> part = new ArrayList<>();
    long done = 0;
    ArrayDeque<Address> left = new ArrayDeque<>(ranges);
    while (!left.isEmpty()) {
      Address next = left.poll();
      // What the part that is being filled still takes.
      long room = total * (parts.size() + 1L) / wanted - done;
      if (room >= MIN_BYTES
          && format.weight(next) - room >= MIN_BYTES
          && format.isSplittable(next.path())) {
        left.push(next.range(next.start() + room, next.end()));
        next = next.range(next.start(), next.start() + room);
      }
      part.add(next);
      done += format.weight(next);
      if (parts.size() < wanted - 1 && done >= total * (parts.size() + 1L) / wanted) {
        parts.add(part);
        part = new ArrayList<>();
      }
    }
    if (!part.isEmpty()) {
      parts.add(part);
    }
    return parts;
  }

  /** Moves rows where the files' own cuts leave too few or too uneven partitions. */
  private static Partitions spread(
      int concurrentTasks, Dataset<Row> rows, long[] counts, int minTaskRows, int wanted) {
    long total = sum(counts);
    long filled = Arrays.stream(counts).filter(c -> c > 0).count();
    long largest = Arrays.stream(counts).max().orElse(0);
    if (filled >= Math.min(total, Math.min(concurrentTasks, wanted))
        && largest <= 2 * Math.max(minTaskRows, total / wanted)) {
      return new Partitions(rows, concurrentTasks);
    }
    LOG.info(
        "the input comes in {} parts: moving {} rows into {} even ones", filled, total, wanted);
    Dataset<Row> spread =
        rows.withColumn(POSITION, monotonically_increasing_id())
            .repartitionByRange(wanted, col(POSITION))
            .sortWithinPartitions(POSITION)
            .drop(POSITION);
    return new Partitions(spread, concurrentTasks);
  }

  /** How many rows every partition has. No columns are read, and nothing is moved. */
  static long[] counts(Dataset<Row> rows) {
    return rows.select().toJavaRDD().mapPartitions(Partitions::count).collect().stream()
        .mapToLong(count -> count)
        .toArray();
  }

  private static Iterator<Long> count(Iterator<Row> part) {
    long rows = 0;
    for (; part.hasNext(); part.next()) {
      rows++;
    }
    return List.of(rows).iterator();
  }

  private static long sum(long[] counts) {
    return Arrays.stream(counts).sum();
  }
}
