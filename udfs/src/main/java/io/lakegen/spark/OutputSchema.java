package io.lakegen.spark;

import io.lakegen.task.Result;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * The columns of every job's output: input columns, the task's columns, {@code error} and {@code
 * lineage}.
 */
public final class OutputSchema {
  /** Null when the row is good. */
  public static final String ERROR = "error";

  /** What anyone needs to compute the row again. */
  public static final String LINEAGE = "lineage";

  /**
   * Optional input column, a struct of {@code type} and {@code message}: not null where a row could
   * not be read. Not passed through.
   */
  public static final String READ_ERROR = "__lakegen_read_error";

  /**
   * Optional input column: the bytes of a row that could not be read. They make its key; not passed
   * through.
   */
  public static final String RAW = "__lakegen_raw";

  /**
   * Optional input column: the file that the row stands in. It is passed through like any other.
   */
  public static final String FILE = "__lakegen_file";

  private static final StructType ERROR_TYPE =
      new StructType()
          .add("stage", DataTypes.StringType, false)
          .add("type", DataTypes.StringType, false)
          .add("message", DataTypes.StringType, false);

  private static final StructType LINEAGE_TYPE =
      new StructType()
          .add("key", DataTypes.StringType, false)
          .add("model", DataTypes.StringType, false)
          .add("model_sha256", DataTypes.StringType, false)
          .add("params_sha256", DataTypes.StringType, false)
          .add("seed", DataTypes.LongType, false)
          .add("run_id", DataTypes.StringType, false);

  private OutputSchema() {}

  /** Whether an input column is one of those that reading adds and nobody asked for. */
  public static boolean isHidden(String column) {
    return column.equals(READ_ERROR) || column.equals(RAW) || column.equals(FILE);
  }

  /** Whether a column is the lineage that an earlier job has left. */
  public static boolean isLineage(StructField column) {
    return column.name().endsWith(LINEAGE) && column.dataType().sameType(LINEAGE_TYPE);
  }

  private static DataType type(Result result) {
    return switch (result.type()) {
      case TEXT -> DataTypes.StringType;
      case INT, INDEX -> DataTypes.IntegerType;
      case LONG -> DataTypes.LongType;
      case FLOAT -> DataTypes.FloatType;
      case DOUBLE -> DataTypes.DoubleType;
      case BOOLEAN -> DataTypes.BooleanType;
      case IMAGE -> DataTypes.BinaryType;
      case VECTOR -> DataTypes.createArrayType(DataTypes.FloatType, false);
      case INTS -> DataTypes.createArrayType(DataTypes.IntegerType, false);
      case TEXTS -> DataTypes.createArrayType(DataTypes.StringType, false);
      case VECTORS ->
          DataTypes.createArrayType(DataTypes.createArrayType(DataTypes.FloatType, false), false);
      case IMAGES -> DataTypes.createArrayType(DataTypes.BinaryType, false);
      case SCORES -> DataTypes.createMapType(DataTypes.StringType, DataTypes.FloatType, false);
    };
  }

  /** Schema of the output rows. */
  public static StructType of(StructType input, List<String> passedThrough, List<Result> results) {
    List<StructField> fields = new ArrayList<>();
    Arrays.stream(input.fields())
        .filter(f -> passedThrough.contains(f.name()))
        .forEach(fields::add);
    results.forEach(r -> fields.add(new StructField(r.name(), type(r), true, Metadata.empty())));
    fields.add(new StructField(ERROR, ERROR_TYPE, true, Metadata.empty()));
    fields.add(new StructField(LINEAGE, LINEAGE_TYPE, false, Metadata.empty()));
    return new StructType(fields.toArray(StructField[]::new));
  }
}
