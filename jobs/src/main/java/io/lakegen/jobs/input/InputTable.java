package io.lakegen.jobs.input;

import io.lakegen.problem.Problems;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.AnalysisException;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.classic.Dataset;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.LogicalRelation;
import org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import scala.jdk.javaapi.CollectionConverters;

/**
 * A table of the session's catalogue that is kept in Parquet files, which a job reads itself: what
 * a chunk has done is known by ranges of files.
 *
 * @param location the folder of the files
 * @param schema the table's columns; those that the names of folders hold are marked
 * @param files how many files the table has
 */
public record InputTable(String location, StructType schema, long files) {
  private static final String EXPECTED = "a table or view that is kept in Parquet files alone; ";

  /**
   * Looks a table up.
   *
   * @param name as in SQL, with or without a catalogue and a database
   * @param problems get a table that is not there, or that is kept otherwise
   */
  public static Optional<InputTable> find(SparkSession spark, String name, Problems problems) {
    LogicalPlan plan;
    try {
      plan = ((Dataset<?>) spark.table(name)).queryExecution().optimizedPlan();
    } catch (Exception e) {
      if (!(e instanceof AnalysisException)) {
        throw e;
      }
      problems.add("input-table", name, "a table of the session's catalogue; " + e.getMessage());
      return Optional.empty();
    }
    String found = "a " + plan.nodeName();
    if (plan instanceof LogicalRelation table
        && table.relation() instanceof HadoopFsRelation relation) {
      List<Path> roots = CollectionConverters.asJava(relation.location().rootPaths());
      // Delta's is a subclass: rows of its files may be deleted.
      if (relation.fileFormat().getClass() == ParquetFileFormat.class && roots.size() == 1) {
        return Optional.of(of(relation, roots.get(0)));
      }
      found = relation.fileFormat() + " files in " + roots;
    }
    problems.add(
        "input-table",
        name + " is " + found,
        EXPECTED + "CREATE TABLE copy USING parquet AS SELECT * FROM " + name + " makes one");
    return Optional.empty();
  }

  private static InputTable of(HadoopFsRelation relation, Path root) {
    List<String> folders = List.of(relation.partitionSchema().fieldNames());
    return new InputTable(
        root.toString(),
        new StructType(
            Stream.of(relation.schema().fields())
                .map(f -> folders.contains(f.name()) ? InputReader.ofFolder(f) : f)
                .toArray(StructField[]::new)),
        relation.location().inputFiles().length);
  }

  /** A folder may hold files that the catalogue does not know of. */
  public void check(long found, Problems problems) {
    if (found != files) {
      problems.add(
          "input-table",
          files + " files in the catalogue, and " + found + " in " + location,
          "a table of all the files in its folder; see MSCK REPAIR TABLE");
    }
  }
}
