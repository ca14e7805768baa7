package io.lakegen.jobs.input;

import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.udf;
import static org.apache.spark.sql.functions.when;

import io.lakegen.image.ImageDecoder;
import io.lakegen.spark.OutputSchema;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.ChecksumException;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.UnsupportedFileSystemException;
import org.apache.hadoop.security.AccessControlException;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Reads the files that a column names. A file that is not there, not allowed or too large is a row
 * with a read error; any other failure fails the Spark task, which is then tried again, since a
 * store that is out of order says nothing about the row.
 */
public final class FileContent {
  static final String PATH = "path";

  /** The field of image structs that holds the file itself. */
  static final String BYTES = "bytes";

  /** The added column. */
  static final String COLUMN = "content";

  private static final String READ = "__lakegen_read";

  private static final StructType ERROR =
      new StructType().add("type", DataTypes.StringType).add("message", DataTypes.StringType);

  private static final StructType RESULT =
      new StructType().add(COLUMN, DataTypes.BinaryType).add("error", ERROR);

  private static final StructType RESULTS =
      new StructType()
          .add(COLUMN, DataTypes.createArrayType(DataTypes.BinaryType))
          .add("error", ERROR);

  private FileContent() {}

  /**
   * Adds a binary column and completes {@link OutputSchema#READ_ERROR}.
   *
   * @param named a column of paths, or of arrays of paths, in which null stays null, or of image
   *     structs
   * @param base what relative paths are relative to
   */
  static Dataset<Row> add(
      Dataset<Row> rows, BoundInputs.NamedFiles named, Path base, Configuration conf) {
    Column given = quoted(named.column());
    boolean many = rows.schema().apply(named.column()).dataType() instanceof ArrayType;
    Column inside =
        named.isStruct()
            ? given.getField(BYTES)
            : lit(null)
                .cast(
                    many ? DataTypes.createArrayType(DataTypes.BinaryType) : DataTypes.BinaryType);
    Column path = named.isStruct() ? given.getField(PATH) : given;
    Read one = new Read(base.toString(), new SerializableConfiguration(conf));
    Column file =
        (many ? udf(new ReadAll(one), RESULTS) : udf(one, RESULT))
            // Otherwise Spark may read a file once for every column made of it.
            .asNondeterministic()
            .apply(when(inside.isNull(), path));
    Column error = col(READ + ".error");
    boolean readErrors = Arrays.asList(rows.columns()).contains(OutputSchema.READ_ERROR);
    Dataset<Row> read = rows.withColumn(READ, file);
    if (named.isStruct()) {
      read = read.withColumn(named.pathColumn(), path);
    }
    return read.withColumn(named.content(), coalesce(inside, col(READ + "." + COLUMN)))
        .withColumn(
            OutputSchema.READ_ERROR,
            readErrors ? coalesce(col(OutputSchema.READ_ERROR), error) : error)
        .drop(READ);
  }

  private static Column quoted(String column) {
    return col("`" + column.replace("`", "``") + "`");
  }

  /** The files of an array; the first that fails is the row's error. */
  private record ReadAll(Read one) implements UDF1<scala.collection.Seq<String>, Row> {
    @Override
    public Row call(scala.collection.Seq<String> names) throws IOException {
      if (names == null) {
        return null;
      }
      List<byte[]> files = new ArrayList<>();
      for (String name : CollectionConverters.asJava(names)) {
        Row read = one.call(name);
        if (read != null && read.get(1) != null) {
          return read;
        }
        files.add(read == null ? null : read.getAs(0));
      }
      return RowFactory.create(files, null);
    }
  }

  private record Read(String base, SerializableConfiguration conf) implements UDF1<String, Row> {
    @Override
    public Row call(String name) throws IOException {
      if (name == null) {
        return null;
      }
      try {
        return RowFactory.create(read(name), null);
      } catch (RowException e) {
        RowError error = e.error();
        return error(error.type(), error.message());
      } catch (FileNotFoundException | java.nio.file.NoSuchFileException e) {
        return error("missing_file", words(name, e));
      } catch (AccessDeniedException | AccessControlException e) {
        return error("forbidden_file", words(name, e));
      } catch (ChecksumException e) {
        return error("damaged_file", words(name, e));
      } catch (UnsupportedFileSystemException | IllegalArgumentException e) {
        return error("bad_path", words(name, e));
      }
    }

    private byte[] read(String name) throws IOException, RowException {
      Path path = new Path(new Path(base), name);
      FileSystem fs = path.getFileSystem(conf.value());
      FileStatus status = fs.getFileStatus(path);
      if (status.isDirectory()) {
        throw new FileNotFoundException("a folder (expected: a file)");
      }
      ImageDecoder.checkBytes(status.getLen());
      byte[] content = new byte[(int) status.getLen()];
      try (FSDataInputStream in = fs.open(path)) {
        in.readFully(content);
      }
      return content;
    }

    private static Row error(String type, String message) {
      return RowFactory.create(null, RowFactory.create(type, message));
    }

    private static String words(String name, Exception e) {
      String message = String.valueOf(e.getMessage());
      return message.contains(name) ? message : name + ": " + message;
    }
  }
}
