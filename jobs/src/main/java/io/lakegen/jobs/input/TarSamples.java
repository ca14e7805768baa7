package io.lakegen.jobs.input;

import io.lakegen.image.ImageDecoder;
import io.lakegen.spark.OutputSchema;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Set;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.compress.CompressionCodec;
import org.apache.hadoop.io.compress.CompressionCodecFactory;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * The samples of a WebDataset shard, such as img2dataset writes them: files of a tar that follow
 * one another and have the same name up to the first dot of its last part. What is wrong with a
 * file is wrong with its sample; a damaged tar ends with a row that says so. A failing store throws
 * an {@link UncheckedIOException}.
 *
 * <p>Format: webdataset, FORMAT.md.
 */
final class TarSamples implements Iterator<InternalRow>, AutoCloseable {
  /** Name of a sample: the files' name without extension. */
  static final String KEY = "__key__";

  static final StructType SCHEMA =
      new StructType()
          .add(KEY, DataTypes.StringType)
          .add("image", DataTypes.BinaryType)
          .add("text", DataTypes.StringType)
          .add("json", DataTypes.StringType)
          .add(
              OutputSchema.READ_ERROR,
              new StructType()
                  .add("type", DataTypes.StringType)
                  .add("message", DataTypes.StringType))
          .add(OutputSchema.FILE, DataTypes.StringType, false);

  private static final int IMAGE = 1;
  private static final int TEXT = 2;
  private static final int JSON = 3;
  private static final int ERROR = 4;

  private static final Set<String> TEXTS = Set.of("txt", "text", "caption");

  private final String file;
  private final Store store;
  private final TarArchiveInputStream tar;
  private Object[] sample;
  private final ArrayDeque<InternalRow> ready = new ArrayDeque<>();
  private boolean ended;

  /** Tells a store that fails from a tar that is damaged. */
  private static final class Store extends FilterInputStream {
    private IOException failure;

    Store(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      try {
        return super.read();
      } catch (IOException e) {
        failure = e;
        throw e;
      }
    }

    @Override
    public int read(byte[] buffer, int from, int length) throws IOException {
      try {
        return super.read(buffer, from, length);
      } catch (IOException e) {
        failure = e;
        throw e;
      }
    }
  }

  TarSamples(String file, Configuration conf) throws IOException {
    this.file = file;
    Path path = new Path(file);
    this.store = new Store(path.getFileSystem(conf).open(path));
    CompressionCodec codec = new CompressionCodecFactory(conf).getCodec(path);
    InputStream bytes = codec == null ? store : codec.createInputStream(store);
    this.tar = new TarArchiveInputStream(new BufferedInputStream(bytes, 1 << 20));
  }

  @Override
  public boolean hasNext() {
    while (ready.isEmpty() && !ended) {
      try {
        TarArchiveEntry entry = tar.getNextEntry();
        if (entry == null) {
          end(null);
        } else if (entry.isFile()) {
          add(entry);
        }
      } catch (IOException | IllegalArgumentException e) {
        if (store.failure != null) {
          throw new UncheckedIOException(store.failure);
        }
        end(file + ": " + e.getMessage() + "; samples that follow are lost");
      }
    }
    return !ready.isEmpty();
  }

  /** A sample in which the tar breaks off is not known to be whole. */
  private void end(String damage) {
    if (damage != null) {
      if (sample == null) {
        sample = empty(null);
      }
      fail(new RowError("read", "damaged_file", damage));
    }
    finish();
    ended = true;
  }

  private void finish() {
    if (sample != null) {
      ready.add(new GenericInternalRow(sample));
      sample = null;
    }
  }

  private void add(TarArchiveEntry entry) throws IOException {
    String name = entry.getName();
    int dot = name.indexOf('.', name.lastIndexOf('/') + 1);
    UTF8String key = UTF8String.fromString(dot < 0 ? name : name.substring(0, dot));
    if (sample == null || !key.equals(sample[0])) {
      finish();
      sample = empty(key);
    }
    int column = column(dot < 0 ? "" : name.substring(dot + 1));
    if (column > 0 && sample[column] == null) {
      try {
        ImageDecoder.checkBytes(entry.getSize());
        byte[] content = tar.readNBytes((int) entry.getSize());
        if (content.length < entry.getSize()) {
          throw new IOException("the tar is truncated");
        }
        sample[column] = column == IMAGE ? content : UTF8String.fromBytes(content);
      } catch (RowException e) {
        fail(e.error());
      }
    }
  }

  private Object[] empty(UTF8String key) {
    Object[] row = new Object[SCHEMA.length()];
    row[0] = key;
    row[SCHEMA.length() - 1] = UTF8String.fromString(file);
    return row;
  }

  private void fail(RowError error) {
    sample[ERROR] =
        new GenericInternalRow(
            new Object[] {
              UTF8String.fromString(error.type()), UTF8String.fromString(error.message())
            });
  }

  /** Where a file of this extension goes, 0 for nowhere. */
  private static int column(String extension) {
    if (TEXTS.contains(extension)) {
      return TEXT;
    }
    if (extension.equals("json")) {
      return JSON;
    }
    return extension.contains(".")
        ? 0
        : InputFormat.of("x." + extension)
            .filter(f -> f == InputFormat.image)
            .map(f -> IMAGE)
            .orElse(0);
  }

  @Override
  public InternalRow next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    return ready.poll();
  }

  @Override
  public void close() throws IOException {
    tar.close();
  }
}
