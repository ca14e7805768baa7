package io.lakegen.jobs.input;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.NoSuchElementException;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.util.SerializableConfiguration;
import org.apache.spark.util.TaskCompletionListener;

/** The samples of one tar after the other; the Spark task that reads them closes the last. */
final class TarShards implements Iterator<InternalRow> {
  private final Iterator<Address> files;
  private final SerializableConfiguration conf;
  private TarSamples tar;

  TarShards(Iterator<Address> files, SerializableConfiguration conf) {
    this.files = files;
    this.conf = conf;
    TaskContext task = TaskContext.get();
    if (task != null) {
      task.addTaskCompletionListener((TaskCompletionListener) ended -> close());
    }
  }

  @Override
  public boolean hasNext() {
    while ((tar == null || !tar.hasNext()) && files.hasNext()) {
      close();
      try {
        tar = new TarSamples(files.next().path(), conf.value());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return tar != null && tar.hasNext();
  }

  @Override
  public InternalRow next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    return tar.next();
  }

  private void close() {
    if (tar != null) {
      try {
        tar.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
