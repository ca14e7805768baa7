package io.lakegen.jobs.run;

import java.io.IOException;
import java.io.OutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** TEMPORARY until branch s3. */
final class ExclusiveFile {
  private ExclusiveFile() {}

  static boolean create(FileSystem fs, Path path, byte[] content) throws IOException {
    if (fs.exists(path)) {
      return false;
    }
    return write(fs, path, content);
  }

  static boolean replace(FileSystem fs, Path path, FileStatus seen, byte[] content)
      throws IOException {
    fs.delete(path, false);
    return write(fs, path, content);
  }

  private static boolean write(FileSystem fs, Path path, byte[] content) throws IOException {
    Path part = new Path(path.getParent(), "." + path.getName() + ".part");
    try (OutputStream out = fs.create(part, true)) {
      out.write(content);
    }
    return fs.rename(part, path);
  }
}
