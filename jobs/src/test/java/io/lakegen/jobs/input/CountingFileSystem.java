package io.lakegen.jobs.input;

import java.io.IOException;
import java.net.URI;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;

/** The local file system as {@code counted:/}, which counts what is read of it. */
public final class CountingFileSystem extends RawLocalFileSystem {
  /** Bytes read by all streams. */
  public static final AtomicLong READ = new AtomicLong();

  /** Lengths of the files that anything was read of. */
  public static final Map<String, Long> OPENED = new ConcurrentHashMap<>();

  @Override
  public URI getUri() {
    return URI.create("counted:///");
  }

  @Override
  public String getScheme() {
    return "counted";
  }

  /** The status without permissions, which can only be asked for by the scheme of local files. */
  private static FileStatus plain(FileStatus status) {
    return new FileStatus(
        status.getLen(),
        status.isDirectory(),
        1,
        status.getBlockSize(),
        status.getModificationTime(),
        status.getPath());
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return plain(super.getFileStatus(path));
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    return Stream.of(super.listStatus(path))
        .map(CountingFileSystem::plain)
        .toArray(FileStatus[]::new);
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    FSDataInputStream in = super.open(path, bufferSize);
    FileStatus status = getFileStatus(path);
    return new FSDataInputStream(
        new FSInputStream() {
          private void count(int bytes) {
            if (bytes > 0) {
              READ.addAndGet(bytes);
              OPENED.put(path.toString(), status.getLen());
            }
          }

          @Override
          public void seek(long position) throws IOException {
            in.seek(position);
          }

          @Override
          public long getPos() throws IOException {
            return in.getPos();
          }

          @Override
          public boolean seekToNewSource(long target) throws IOException {
            return in.seekToNewSource(target);
          }

          @Override
          public int read() throws IOException {
            int value = in.read();
            count(value >= 0 ? 1 : 0);
            return value;
          }

          @Override
          public int read(byte[] bytes, int offset, int length) throws IOException {
            int read = in.read(bytes, offset, length);
            count(read);
            return read;
          }

          @Override
          public void close() throws IOException {
            in.close();
          }
        });
  }
}
