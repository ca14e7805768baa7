package io.lakegen.jobs.run;

import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.greatest;
import static org.apache.spark.sql.functions.least;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.monotonically_increasing_id;
import static org.apache.spark.sql.functions.row_number;
import static org.apache.spark.sql.functions.sum;

import io.lakegen.spark.KeyColumn;
import io.lakegen.spark.OutputSchema;
import java.util.List;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.expressions.Window;
import org.apache.spark.sql.expressions.WindowSpec;

/**
 * Picks input rows by their keys. Equal rows are counted, not told apart: they have equal results.
 */
final class KeyedRows {
  private static final String KEY = "__lakegen_key";
  private static final String POSITION = "__lakegen_position";
  private static final String RANK = "__lakegen_rank";
  private static final String COUNT = "__lakegen_count";

  /** Equal rows of a file, in their order. */
  private static final WindowSpec EQUAL =
      Window.partitionBy(OutputSchema.FILE, KEY).orderBy(POSITION);

  private KeyedRows() {}

  /** How many rows of each key each file has among rows. */
  private static Dataset<Row> counts(Dataset<Row> rows, List<String> keyColumns) {
    return KeyColumn.add(rows, keyColumns, KEY)
        .groupBy(OutputSchema.FILE, KEY)
        .agg(count(lit(1)).as(COUNT));
  }

  /**
   * Counts how many rows of each file and key the output holds already, equal rows of several files
   * taken in the files' order.
   *
   * @param rows all that is left of the input, with the content of their files
   * @param output the good rows that the output holds
   * @param isFirst true for one of the output rows of an input row
   * @param folder where the counts are kept for {@link #without}
   * @return how many rows of the input these are
   */
  static long findDone(
      Dataset<Row> rows,
      List<String> keyColumns,
      Dataset<Row> output,
      Column isFirst,
      String folder) {
    Dataset<Row> done =
        output
            .where(isFirst)
            .groupBy(col("lineage.key").as(KEY))
            .agg(count(lit(1)).as("__lakegen_done"));
    Column before =
        coalesce(
            sum(COUNT)
                .over(
                    Window.partitionBy(KEY)
                        .orderBy(OutputSchema.FILE)
                        .rowsBetween(Window.unboundedPreceding(), -1)),
            lit(0L));
    Column skipped =
        least(greatest(col("__lakegen_done").minus(col("__lakegen_before")), lit(0L)), col(COUNT));
    counts(rows, keyColumns)
        .join(done, KEY)
        .withColumn("__lakegen_before", before)
        .select(col(OutputSchema.FILE), col(KEY), skipped.as(COUNT))
        .where(col(COUNT).gt(0))
        .write()
        .mode(SaveMode.Overwrite)
        .parquet(folder);
    Row total =
        rows.sparkSession().read().parquet(folder).agg(coalesce(sum(COUNT), lit(0L))).first();
    return total.getLong(0);
  }

  /** Rows without those that {@link #findDone} has counted. */
  static Dataset<Row> without(
      Dataset<Row> rows, List<String> keyColumns, String folder, int partitions) {
    Dataset<Row> counts = rows.sparkSession().read().parquet(folder);
    return ranked(rows, keyColumns)
        .join(counts, columns(), "left")
        .where(col(RANK).gt(coalesce(col(COUNT), lit(0L))))
        .repartitionByRange(partitions, col(POSITION))
        .sortWithinPartitions(POSITION)
        .drop(KEY, POSITION, RANK, COUNT);
  }

  /** Rows that error rows stand for. */
  static Dataset<Row> only(
      Dataset<Row> rows, List<String> keyColumns, Dataset<Row> errors, int partitions) {
    Dataset<Row> counts =
        errors
            .groupBy(col("error.file").as(OutputSchema.FILE), col("lineage.key").as(KEY))
            .agg(count(lit(1)).as(COUNT));
    return ranked(rows, keyColumns)
        .join(counts, columns(), "inner")
        .where(col(RANK).leq(col(COUNT)))
        .repartitionByRange(partitions, col(POSITION))
        .sortWithinPartitions(POSITION)
        .drop(KEY, POSITION, RANK, COUNT);
  }

  private static Dataset<Row> ranked(Dataset<Row> rows, List<String> keyColumns) {
    return KeyColumn.add(rows, keyColumns, KEY)
        .withColumn(POSITION, monotonically_increasing_id())
        .withColumn(RANK, row_number().over(EQUAL));
  }

  private static String[] columns() {
    return new String[] {OutputSchema.FILE, KEY};
  }
}
