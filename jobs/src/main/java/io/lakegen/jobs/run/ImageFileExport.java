package io.lakegen.jobs.run;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;

import java.io.IOException;
import java.io.OutputStream;
import java.util.Iterator;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.function.ForeachPartitionFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Writes every image of a column as a file of its own, {@code <key>.<png or jpg>} or {@code
 * <key>-<index>.<png or jpg>}: rows of one key have the same image, and a row that is written twice
 * makes the same file.
 *
 * @param folder on any Hadoop file system
 * @param indexColumn tells the images of a row apart
 */
record ImageFileExport(String folder, String imageColumn, Optional<String> indexColumn) {
  private static final byte JPEG_START = (byte) 0xFF;

  /**
   * Reads a run's rows and writes their images.
   *
   * @param rows folder of the run's Parquet files
   * @throws IOException if that cannot be written; the run does not count then
   */
  void write(SparkSession spark, Path rows) throws IOException {
    Configuration conf = spark.sparkContext().hadoopConfiguration();
    Path target = new Path(folder);
    FileSystem fs = target.getFileSystem(conf);
    fs.mkdirs(target);
    Dataset<Row> images =
        spark
            .read()
            .parquet(rows.toString())
            .where(col(imageColumn).isNotNull())
            .select(
                col("lineage.key"),
                col(imageColumn),
                indexColumn.isPresent() ? col(indexColumn.get()) : lit(null).cast("int"));
    images.foreachPartition(
        new WriteFiles(fs.makeQualified(target).toString(), new SerializableConfiguration(conf)));
  }

  private record WriteFiles(String folder, SerializableConfiguration conf)
      implements ForeachPartitionFunction<Row> {
    @Override
    public void call(Iterator<Row> rows) throws IOException {
      FileSystem fs = new Path(folder).getFileSystem(conf.value());
      while (rows.hasNext()) {
        Row row = rows.next();
        String name = row.getString(0) + (row.isNullAt(2) ? "" : "-" + row.getInt(2));
        byte[] image = row.getAs(1);
        String suffix = image[0] == JPEG_START ? ".jpg" : ".png";
        try (OutputStream out = fs.create(new Path(folder, name + suffix), true)) {
          out.write(image);
        }
      }
    }
  }
}
