package io.lakegen.jobs;

import java.io.IOException;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.SparkSession;

/** Makes something of a run's rows before they count. */
@FunctionalInterface
interface RowsExport {
  /** Makes nothing. */
  RowsExport NONE = (spark, rows) -> {};

  /**
   * Reads the rows and writes elsewhere.
   *
   * @param rows folder of the run's Parquet files
   * @throws IOException if that cannot be written; the run does not count then
   */
  void write(SparkSession spark, Path rows) throws IOException;
}
