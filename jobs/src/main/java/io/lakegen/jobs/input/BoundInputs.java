package io.lakegen.jobs.input;

import io.lakegen.problem.Problems;
import io.lakegen.spark.OutputSchema;
import io.lakegen.task.Argument.Kind;
import io.lakegen.task.Input;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.BooleanType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.NumericType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * A task's inputs, bound to the columns of rows that were read.
 *
 * @param inputs with the columns that {@link #load} gives
 * @param files the files whose content {@link #load} adds
 * @param base what relative paths of files are relative to
 * @param select the only columns that {@link #load} leaves; all if empty
 */
public record BoundInputs(
    List<Input> inputs, List<NamedFiles> files, String base, List<String> select) {
  public BoundInputs {
    inputs = List.copyOf(inputs);
    select = List.copyOf(select);
    files = List.copyOf(files);
  }

  /**
   * Files that a column names.
   *
   * @param content the column to add
   */
  public record NamedFiles(String pathColumn, String content) {}

  /** Columns of rows that a user sees, as opposed to what reading leaves for the executors. */
  public static List<String> visible(StructType schema) {
    return Stream.of(schema.fieldNames()).filter(n -> !OutputSchema.isHidden(n)).toList();
  }

  /**
   * Finds the columns.
   *
   * @param select the only columns to keep; all if empty
   * @param problems get a column that is not there or has another type
   */
  public static BoundInputs bind(
      StructType all,
      InputFiles files,
      List<Input> inputs,
      List<String> select,
      Problems problems) {
    for (String column : select) {
      if (!visible(all).contains(column)) {
        problems.add(
            "select",
            column + " is not in the input",
            "some of " + visible(all) + Problems.suggestion(column, visible(all)));
      }
    }
    StructType schema =
        new StructType(
            Stream.of(all.fields())
                .filter(f -> isKept(f.name(), select))
                .toArray(StructField[]::new));
    List<Input> bound = new ArrayList<>();
    List<NamedFiles> named = new ArrayList<>();
    for (Input input : inputs) {
      String column = input.column();
      int ordinal = Arrays.asList(schema.fieldNames()).indexOf(column);
      if (ordinal < 0 && input.kind() == Kind.IMAGE && files.format() == InputFormat.image) {
        column = FileContent.PATH;
        ordinal = Arrays.asList(schema.fieldNames()).indexOf(column);
      }
      if (ordinal < 0) {
        List<String> visible = visible(schema);
        problems.add(
            input.option(),
            column + " is not in the input",
            "one of " + visible + Problems.suggestion(column, visible));
        continue;
      }
      DataType type = schema.fields()[ordinal].dataType();
      if (!fits(input.kind(), type)) {
        problems.add(input.option(), column + " is " + type.simpleString(), input.kind().columns());
      } else if (isImage(input.kind()) && isPaths(type)) {
        String content = named.isEmpty() ? FileContent.COLUMN : "content_" + input.name();
        if (Arrays.asList(schema.fieldNames()).contains(content)) {
          problems.add("input column", content, "another name; the files' bytes go there");
        }
        named.add(new NamedFiles(column, content));
        column = content;
      }
      bound.add(new Input(input.name(), input.kind(), column, input.option()));
    }
    return new BoundInputs(bound, named, files.base().toString(), select);
  }

  private static boolean isImage(Kind kind) {
    return kind == Kind.IMAGE || kind == Kind.IMAGES;
  }

  private static boolean isPaths(DataType type) {
    return type instanceof StringType
        || (type instanceof ArrayType array && array.elementType() instanceof StringType);
  }

  private static boolean isKept(String column, List<String> select) {
    return select.isEmpty() || select.contains(column) || OutputSchema.isHidden(column);
  }

  private static boolean fits(Kind kind, DataType type) {
    return switch (kind) {
      case TEXT -> type instanceof StringType;
      case IMAGE -> type instanceof StringType || type.equals(DataTypes.BinaryType);
      case IMAGES ->
          type instanceof ArrayType array
              && (array.elementType() instanceof StringType
                  || array.elementType().equals(DataTypes.BinaryType));
      case NUMBER -> type instanceof StringType || type instanceof NumericType;
      case VECTOR -> type instanceof ArrayType array && array.elementType() instanceof NumericType;
      case SCALAR ->
          type instanceof StringType || type instanceof NumericType || type instanceof BooleanType;
    };
  }

  /**
   * Drops the columns that were not selected, and adds the content of the files that the rows name.
   * That is too heavy to be moved about: to be called where the rows are scored.
   */
  public Dataset<Row> load(Dataset<Row> rows) {
    Configuration conf = rows.sparkSession().sparkContext().hadoopConfiguration();
    Dataset<Row> loaded =
        rows.drop(Stream.of(rows.columns()).filter(c -> !isKept(c, select)).toArray(String[]::new));
    for (NamedFiles named : files) {
      loaded = FileContent.add(loaded, named, new Path(base), conf);
    }
    return loaded;
  }

  /** Whether a column holds images, by itself or because their files were loaded into it. */
  public boolean isImage(String column) {
    return inputs.stream().anyMatch(i -> isImage(i.kind()) && i.column().equals(column));
  }
}
