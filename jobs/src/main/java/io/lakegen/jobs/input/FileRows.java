package io.lakegen.jobs.input;

import io.lakegen.spark.OutputSchema;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.paths.SparkPath;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.FileSourceOptions;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogUtils;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.execution.datasources.FileFormat;
import org.apache.spark.sql.execution.datasources.FilePartition;
import org.apache.spark.sql.execution.datasources.FileScanRDD;
import org.apache.spark.sql.execution.datasources.PartitionedFile;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Reads chosen ranges of chosen files through one of Spark's file formats. Spark's own readers take
 * folders and whole files only, list them anew, and cut them as they like.
 *
 * @param options of the format
 */
record FileRows(SparkSession spark, FileFormat format, Map<String, String> options) {
  private static final String NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__";

  /**
   * The rows of some ranges, with the column {@link OutputSchema#FILE}.
   *
   * @param partitions the ranges of every Spark partition
   * @param data schema of the files
   * @param folders names of columns that stand in folder names, as in {@code date=2026-11-24}
   */
  Dataset<Row> rows(List<List<Address>> partitions, StructType data, List<String> folders) {
    StructType constants = new StructType();
    for (String folder : folders) {
      constants = constants.add(folder, DataTypes.StringType);
    }
    constants = constants.add(OutputSchema.FILE, DataTypes.StringType, false);
    List<StructField> fields = new ArrayList<>(List.of(data.fields()));
    fields.addAll(List.of(constants.fields()));
    StructType schema = new StructType(fields.toArray(StructField[]::new));
    scala.collection.immutable.Map<String, String> all = scalaOptions();
    Configuration conf = spark.sessionState().newHadoopConfWithOptions(all);
    RDD<InternalRow> rows =
        new FileScanRDD(
            spark,
            format.buildReaderWithPartitionValues(
                spark, data, constants, data, scalaList(List.of()), all, conf),
            scalaList(filePartitions(partitions, folders)),
            schema,
            scalaList(List.of()),
            scala.collection.immutable.Map$.MODULE$.empty(),
            new FileSourceOptions(all));
    return spark.internalCreateDataFrame(rows, schema, false);
  }

  private scala.collection.immutable.Map<String, String> scalaOptions() {
    Map<String, String> all = new TreeMap<>(options);
    all.put(FileFormat.OPTION_RETURNING_BATCH(), "false");
    return scala.collection.immutable.Map$.MODULE$.from(CollectionConverters.asScala(all));
  }

  private static List<FilePartition> filePartitions(
      List<List<Address>> partitions, List<String> folders) {
    List<FilePartition> files = new ArrayList<>();
    for (List<Address> ranges : partitions) {
      files.add(
          new FilePartition(
              files.size(),
              ranges.stream().map(r -> file(r, folders)).toArray(PartitionedFile[]::new)));
    }
    return files;
  }

  private static PartitionedFile file(Address range, List<String> folders) {
    Object[] constants = new Object[folders.size() + 1];
    Map<String, String> values = folders(range.path());
    for (int i = 0; i < folders.size(); i++) {
      constants[i] = UTF8String.fromString(values.get(folders.get(i)));
    }
    constants[folders.size()] = UTF8String.fromString(range.path());
    return new PartitionedFile(
        new GenericInternalRow(constants),
        SparkPath.fromPath(new Path(range.path())),
        range.start(),
        range.size(),
        new String[0],
        range.modified(),
        range.length(),
        scala.collection.immutable.Map$.MODULE$.empty());
  }

  /** Columns and values that a file's folders name, outermost first. */
  static Map<String, String> folders(String path) {
    Map<String, String> values = new java.util.LinkedHashMap<>();
    String[] parts = path.split("/", -1);
    for (int i = 0; i < parts.length - 1; i++) {
      int at = parts[i].indexOf('=');
      if (at > 0) {
        String value = parts[i].substring(at + 1);
        values.put(
            ExternalCatalogUtils.unescapePathName(parts[i].substring(0, at)),
            value.equals(NULL_FOLDER) ? null : ExternalCatalogUtils.unescapePathName(value));
      }
    }
    return values;
  }

  private static <T> scala.collection.immutable.Seq<T> scalaList(List<T> list) {
    return CollectionConverters.asScala(list).toSeq();
  }
}
