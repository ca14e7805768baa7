package io.lakegen.jobs;

import java.util.Arrays;
import java.util.Optional;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;

/**
 * A table with a binary column of image files.
 *
 * @param rows the table
 * @param name the column
 */
record ImageColumn(Dataset<Row> rows, String name) {

  /** The images of a binary column, or of the files whose paths a string column holds. */
  static Optional<ImageColumn> find(
      Dataset<Row> rows, InputFiles files, String option, String column, Problems problems) {
    int ordinal = TextColumn.find(rows.schema(), option, column, problems);
    if (ordinal < 0) {
      return Optional.empty();
    }
    DataType type = rows.schema().fields()[ordinal].dataType();
    if (type.equals(DataTypes.BinaryType)) {
      return Optional.of(new ImageColumn(rows, column));
    }
    if (!type.equals(DataTypes.StringType)) {
      problems.add(
          option,
          column + " is " + type.simpleString(),
          "a column of images (binary) or paths (string)");
      return Optional.empty();
    }
    if (Arrays.asList(rows.columns()).contains(FileContent.COLUMN)) {
      problems.add("input column", FileContent.COLUMN, "another name; the files' bytes go there");
      return Optional.empty();
    }
    return Optional.of(ofFiles(rows, column, files));
  }

  /** The content of files; relative paths start at the first input's folder. */
  static ImageColumn ofFiles(Dataset<Row> rows, String pathColumn, InputFiles files) {
    Path root = files.roots().get(0);
    boolean file = files.files().get(0).getPath().equals(root);
    return new ImageColumn(
        FileContent.add(
            rows,
            pathColumn,
            file ? root.getParent() : root,
            rows.sparkSession().sparkContext().hadoopConfiguration()),
        FileContent.COLUMN);
  }
}
