package io.lakegen.jobs.input;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.types.StructType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is left of the input, from which chunks are taken. It learns how many rows the input has
 * from the chunks that are done. Thread-safe.
 */
public final class Remaining {
  /** A chunk's manifest names every file, and should stay below a megabyte. */
  static final int FILES_PER_CHUNK = 40_000;

  private static final Logger LOG = LoggerFactory.getLogger(Remaining.class);

  /** What is read for a sample at most. */
  private static final long SAMPLE_BYTES = 1 << 20;

  /** A guess for large files that can only be read from their start. */
  private static final long BYTES_PER_ROW = 200;

  /** The same for shards of pictures. */
  private static final long BYTES_PER_SAMPLE = 50_000;

  private final InputFormat format;
  private final InputReader reader;
  private final boolean wholeFiles;
  private final RowGroups rowGroups;
  private final ArrayDeque<Address> left;
  private long weight;
  private long knownRows;
  private long knownWeight;

  /**
   * All that is left.
   *
   * @param wholeFiles whether a chunk takes all that is left of a file
   */
  public Remaining(InputReader reader, List<Address> left, boolean wholeFiles) {
    this.reader = reader;
    this.wholeFiles = wholeFiles;
    this.format = reader.format();
    this.rowGroups = new RowGroups(reader.hadoopConfiguration());
    this.left = new ArrayDeque<>(left);
    this.weight = left.stream().mapToLong(format::weight).sum();
  }

  /**
   * Finds out how many rows the input has, unless that was told.
   *
   * @param schema see {@link InputReader#schema}
   */
  public void sample(StructType schema) {
    if (knownRows > 0) {
      return;
    }
    if (format == InputFormat.image) {
      learn(1, 1);
      return;
    }
    if (!left.isEmpty()) {
      Address sample = left.peek();
      if (format != InputFormat.parquet && format.isSplittable(sample.path())) {
        sample =
            sample.range(sample.start(), Math.min(sample.end(), sample.start() + SAMPLE_BYTES));
      }
      if (format == InputFormat.text || format == InputFormat.jsonl) {
        learnLines(sample);
      }
      // Of Parquet only the footer is read.
      if (knownRows > 0) {
        return;
      } else if (format == InputFormat.parquet
          || (format != InputFormat.tar && sample.size() <= SAMPLE_BYTES)) {
        learn(reader.count(schema, List.of(List.of(sample)))[0], sample.size());
      }
    }
    if (knownRows == 0) {
      learn(1, format == InputFormat.tar ? BYTES_PER_SAMPLE : BYTES_PER_ROW);
    }
  }

  /** Counted here: a Spark job would take longer than all the rest of a small input. */
  private void learnLines(Address sample) {
    if (!format.isSplittable(sample.path())) {
      return;
    }
    Path path = new Path(sample.path());
    try (FSDataInputStream in = path.getFileSystem(reader.hadoopConfiguration()).open(path)) {
      in.seek(sample.start());
      byte[] bytes = in.readNBytes((int) sample.size());
      long lines = IntStream.range(0, bytes.length).filter(i -> bytes[i] == '\n').count();
      boolean isOpen = bytes.length > 0 && bytes[bytes.length - 1] != '\n';
      learn(lines + (isOpen ? 1 : 0), sample.size());
    } catch (IOException e) {
      // Whoever reads the rows tells of it; a guess does until then.
      LOG.debug("{} cannot be sampled", path, e);
    }
  }

  private void learn(long rows, long ofWeight) {
    knownRows += rows;
    knownWeight += ofWeight;
  }

  /** Tells how many rows a chunk had. */
  public synchronized void learn(List<Address> chunk, long rows) {
    if (format != InputFormat.image && rows > 0) {
      learn(rows, chunk.stream().mapToLong(format::weight).sum());
    }
  }

  /** How many rows ranges have, as far as one can tell. */
  public synchronized long rows(List<Address> ranges) {
    return rows(ranges.stream().mapToLong(format::weight).sum());
  }

  /** How many rows are left, as far as one can tell. */
  public synchronized long rows() {
    return rows(weight);
  }

  private long rows(long ofWeight) {
    return Math.round((double) ofWeight * knownRows / knownWeight);
  }

  /** Whether nothing is left. */
  public synchronized boolean isEmpty() {
    return left.isEmpty();
  }

  /** Takes the next ranges, of about so many rows; to be called after {@link #sample}. */
  public synchronized List<Address> take(long rows) {
    List<Address> chunk = new ArrayList<>();
    // Below the largest number, so that what is computed of it does not overflow.
    long room = (long) Math.max(1, Math.min(1L << 60, (double) rows * knownWeight / knownRows));
    while (!left.isEmpty()
        && ((room > 0 && chunk.size() < FILES_PER_CHUNK) || belongs(chunk, left.peek()))) {
      Address next = left.poll();
      // A last bit of a file is not worth a chunk of its own.
      if (!wholeFiles
          && format.weight(next) > room * 5 / 4
          && format != InputFormat.image
          && format.isSplittable(next.path())) {
        long cut = next.start() + room;
        if (format == InputFormat.parquet) {
          cut = rowGroups.cut(next, cut);
        }
        if (cut < next.end()) {
          left.push(next.range(cut, next.end()));
          next = next.range(next.start(), cut);
        }
      }
      room -= format.weight(next);
      weight -= format.weight(next);
      chunk.add(next);
    }
    return chunk;
  }

  private boolean belongs(List<Address> chunk, Address next) {
    return wholeFiles && !chunk.isEmpty() && chunk.get(chunk.size() - 1).path().equals(next.path());
  }
}
