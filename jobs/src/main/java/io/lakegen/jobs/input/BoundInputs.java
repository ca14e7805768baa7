package io.lakegen.jobs.input;

import io.lakegen.problem.Problems;
import io.lakegen.spark.OutputSchema;
import io.lakegen.task.Argument.Kind;
import io.lakegen.task.Input;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
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
 * @param left columns that {@link #load} leaves out
 * @param renames columns that {@link #load} gives another name
 */
public record BoundInputs(
    List<Input> inputs,
    List<NamedFiles> files,
    String base,
    List<String> left,
    Map<String, String> renames) {
  public BoundInputs {
    inputs = List.copyOf(inputs);
    files = List.copyOf(files);
    left = List.copyOf(left);
    renames = Collections.unmodifiableMap(new LinkedHashMap<>(renames));
  }

  /**
   * Files that a column names.
   *
   * @param column of paths, or of structs as in data sets of Hugging Face: the file's bytes, or a
   *     path where these are null
   * @param isStruct whether it is the latter
   * @param content the column of the files' bytes
   */
  public record NamedFiles(String column, boolean isStruct, String content) {
    /** Where the paths of structs go, since their bytes take their column's place. */
    String pathColumn() {
      return isStruct ? column + "_path" : column;
    }
  }

  /** Columns of rows that a user sees, as opposed to what reading leaves for the executors. */
  public static List<String> visible(StructType schema) {
    return Stream.of(schema.fieldNames()).filter(n -> !OutputSchema.isHidden(n)).toList();
  }

  /**
   * Finds the columns.
   *
   * @param problems get a column that is not there or has another type
   */
  public static BoundInputs bind(
      StructType all,
      InputFiles files,
      List<Input> inputs,
      ColumnChoice columns,
      Problems problems) {
    columns.check(visible(all), problems);
    List<String> left = visible(all).stream().filter(c -> !columns.isKept(c)).toList();
    StructType schema =
        new StructType(
            Stream.of(all.fields())
                .filter(f -> !left.contains(f.name()))
                .toArray(StructField[]::new));
    List<String> names = Arrays.asList(schema.fieldNames());
    List<Input> bound = new ArrayList<>();
    List<NamedFiles> named = new ArrayList<>();
    for (Input input : inputs) {
      String column = input.column();
      int ordinal = names.indexOf(column);
      if (ordinal < 0 && input.kind().takesImages() && files.format() == InputFormat.image) {
        column = FileContent.PATH;
        ordinal = names.indexOf(column);
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
      } else if (input.kind() == Kind.IMAGE && isImageStruct(type)) {
        named.add(new NamedFiles(column, true, column));
        require(names, column + "_path", problems);
      } else if (isImage(input.kind()) && isPaths(type)) {
        String content = named.isEmpty() ? FileContent.COLUMN : "content_" + input.name();
        require(names, content, problems);
        named.add(new NamedFiles(column, false, content));
        column = content;
      }
      bound.add(new Input(input.name(), input.kind(), column, input.option()));
    }
    List<String> kept = new ArrayList<>(visible(schema));
    named.stream().filter(NamedFiles::isStruct).forEach(n -> kept.add(n.pathColumn()));
    Map<String, String> renames = columns.renames(kept, repeated(bound, columns.added()));
    return new BoundInputs(
        bound.stream().map(i -> renamed(i, renames)).toList(),
        named,
        files.base().toString(),
        left,
        renames);
  }

  private static boolean isImage(Kind kind) {
    return kind == Kind.IMAGE || kind == Kind.IMAGES;
  }

  private static boolean isPaths(DataType type) {
    return type instanceof StringType
        || (type instanceof ArrayType array && array.elementType() instanceof StringType);
  }

  private static void require(List<String> names, String free, Problems problems) {
    if (names.contains(free)) {
      problems.add("input column", free, "another name; what the files hold goes there");
    }
  }

  /** Columns that are read, and whose value a result of the same name repeats. */
  private static List<String> repeated(List<Input> inputs, List<String> added) {
    return inputs.stream()
        .filter(i -> !isImage(i.kind()) && i.name().equals(i.column()))
        .map(Input::column)
        .filter(added::contains)
        .toList();
  }

  private static Input renamed(Input input, Map<String, String> renames) {
    String column = renames.getOrDefault(input.column(), input.column());
    return new Input(input.name(), input.kind(), column, input.option());
  }

  /** Whether values of a type are images, and not paths or texts. */
  public static boolean isImage(DataType type) {
    return type.equals(DataTypes.BinaryType) || isImageStruct(type);
  }

  private static boolean isImageStruct(DataType type) {
    if (!(type instanceof StructType struct)) {
      return false;
    }
    Map<String, DataType> fields =
        Stream.of(struct.fields())
            .collect(Collectors.toMap(StructField::name, StructField::dataType, (a, b) -> a));
    return fields.size() == 2
        && DataTypes.BinaryType.equals(fields.get(FileContent.BYTES))
        && DataTypes.StringType.equals(fields.get(FileContent.PATH));
  }

  private static boolean fits(Kind kind, DataType type) {
    return switch (kind) {
      case TEXT -> type instanceof StringType;
      case IMAGE, TEXT_OR_IMAGE -> type instanceof StringType || isImage(type);
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
   * Drops the columns that are left out, gives others the names under which they go on, and adds
   * the content of the files that the rows name. That is too heavy to be moved about: to be called
   * where the rows are scored.
   */
  public Dataset<Row> load(Dataset<Row> rows) {
    Configuration conf = rows.sparkSession().sparkContext().hadoopConfiguration();
    Dataset<Row> loaded = rows.drop(left.toArray(String[]::new));
    for (NamedFiles named : files) {
      loaded = FileContent.add(loaded, named, new Path(base), conf);
    }
    return loaded.toDF(
        Stream.of(loaded.columns()).map(c -> renames.getOrDefault(c, c)).toArray(String[]::new));
  }

  /**
   * Columns of loaded rows that go to the output: images only where they are asked for, and no
   * column whose value a result of the same name repeats.
   *
   * @param loaded columns of {@link #load}'s rows
   * @param added columns that the job adds
   */
  public List<String> passedThrough(List<String> loaded, boolean keepImages, List<String> added) {
    List<String> repeated = repeated(inputs, added);
    return loaded.stream()
        .filter(c -> !repeated.contains(c) && (keepImages || !isImage(c)))
        .toList();
  }

  private boolean isImage(String column) {
    return inputs.stream().anyMatch(i -> isImage(i.kind()) && i.column().equals(column));
  }
}
