package io.lakegen.jobs.input;

import java.io.Serializable;
import org.apache.hadoop.fs.EtagSource;
import org.apache.hadoop.fs.FileStatus;

/**
 * Where input rows stand: a file, as it was when it was listed, and a range of its bytes. A line
 * belongs to the range that its first byte follows (Hadoop's rule for splits), a Parquet row group
 * to the range that holds its middle; so ranges that tile a file hold each of its rows once,
 * wherever the cuts are.
 *
 * @param path with its scheme
 * @param length of the file, in bytes
 * @param modified modification time of the file, in milliseconds since 1970
 * @param etag of an object in a store that has one, else null
 * @param start first byte of the range
 * @param end the byte after the range
 */
public record Address(String path, long length, long modified, String etag, long start, long end)
    implements Serializable {

  /** A whole file. */
  public static Address of(FileStatus status) {
    return new Address(
        status.getPath().toString(),
        status.getLen(),
        status.getModificationTime(),
        status instanceof EtagSource source ? source.getEtag() : null,
        0,
        status.getLen());
  }

  /** A range of the same file. */
  public Address range(long from, long to) {
    return new Address(path, length, modified, etag, from, to);
  }

  boolean isWhole() {
    return start == 0 && end == length;
  }

  /** Whether both are ranges of one file in one state. */
  public boolean isSameFile(Address other) {
    return path.equals(other.path) && length == other.length && version().equals(other.version());
  }

  /** Bytes of the range. */
  public long size() {
    return end - start;
  }

  /** Tells this state of the file from later ones. */
  String version() {
    return etag == null ? Long.toString(modified) : etag;
  }
}
