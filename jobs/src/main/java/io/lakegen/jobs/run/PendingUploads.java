package io.lakegen.jobs.run;

import java.io.IOException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.MultipartUploader;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.s3a.S3AFileSystem;
import org.apache.hadoop.util.functional.FutureIO;

/**
 * Multipart uploads that were begun on S3 and neither completed nor aborted: rows that the magic
 * committer of a dead driver never committed. No listing shows them, and they are paid for until
 * somebody aborts them.
 */
final class PendingUploads {
  private static final int PAGE = 1000;

  private PendingUploads() {}

  /**
   * Aborts all uploads to keys below a folder, also those of a live run: only the owner of the
   * folder may call it. Does nothing on file systems other than S3A.
   *
   * @throws IOException if S3 fails; some, all or none are aborted then, and the call can be
   *     repeated
   */
  static void abort(FileSystem fs, Path folder) throws IOException {
    if (!fs.getUri().getScheme().startsWith("s3")) {
      return;
    }
    Path qualified = fs.makeQualified(folder);
    try (MultipartUploader uploader = fs.createMultipartUploader(qualified).build()) {
      // One call sees one page of the store's list, of a thousand uploads at most.
      for (int found = PAGE; found >= PAGE; ) {
        found = FutureIO.awaitFuture(uploader.abortUploadsUnderPath(qualified));
      }
    }
  }

  /** How many there are below a folder; 0 on file systems other than S3A. */
  static int count(FileSystem fs, Path folder) throws IOException {
    return fs.getUri().getScheme().startsWith("s3") ? S3.count(fs, folder) : 0;
  }

  /** Apart, because hadoop-aws may be missing where nobody uses S3. */
  private static final class S3 {
    private S3() {}

    static int count(FileSystem fs, Path folder) throws IOException {
      String key = fs.makeQualified(folder).toUri().getPath().substring(1);
      RemoteIterator<?> uploads =
          ((S3AFileSystem) fs).listUploads(key.isEmpty() ? null : key + "/");
      int count = 0;
      while (uploads.hasNext()) {
        uploads.next();
        count++;
      }
      return count;
    }
  }
}
