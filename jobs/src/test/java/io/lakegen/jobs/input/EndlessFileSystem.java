package io.lakegen.jobs.input;

import java.io.FileNotFoundException;
import java.net.URI;
import java.util.Locale;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/** {@code endless://lake/N} lists N pictures, a thousand a folder, that nobody could open. */
public final class EndlessFileSystem extends FileSystem {
  @Override
  public URI getUri() {
    return URI.create("endless://lake");
  }

  @Override
  public String getScheme() {
    return "endless";
  }

  private static FileStatus picture(int i) {
    Path path =
        new Path(
            "endless://lake/all",
            String.format(Locale.ROOT, "set-%05d/picture-%08d.jpg", i / 1000, i));
    // Sizes and times as unlike as those of real files.
    long mixed = (i + 1) * 0x9E3779B97F4A7C15L;
    return new FileStatus(
        20_000 + (mixed >>> 44),
        false,
        1,
        1 << 27,
        1_700_000_000_000L + (mixed >>> 30) % 10_000_000_000L,
        path);
  }

  @Override
  public RemoteIterator<LocatedFileStatus> listFiles(Path root, boolean recursive) {
    int count = Integer.parseInt(root.getName());
    return new RemoteIterator<>() {
      private int next;

      @Override
      public boolean hasNext() {
        return next < count;
      }

      @Override
      public LocatedFileStatus next() {
        return new LocatedFileStatus(picture(next++), null);
      }
    };
  }

  @Override
  public FileStatus getFileStatus(Path path) throws FileNotFoundException {
    return new FileStatus(0, true, 1, 1, 0, path);
  }

  @Override
  public FileStatus[] listStatus(Path path) {
    throw new UnsupportedOperationException("listFiles only");
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) {
    throw new UnsupportedOperationException("nobody may open " + path);
  }

  @Override
  public FSDataOutputStream create(
      Path path,
      FsPermission permission,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress) {
    throw new UnsupportedOperationException();
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean rename(Path from, Path to) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean delete(Path path, boolean recursive) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void setWorkingDirectory(Path path) {}

  @Override
  public Path getWorkingDirectory() {
    return new Path("endless://lake/");
  }

  @Override
  public boolean mkdirs(Path path, FsPermission permission) {
    throw new UnsupportedOperationException();
  }
}
