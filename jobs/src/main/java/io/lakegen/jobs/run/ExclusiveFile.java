package io.lakegen.jobs.run;

import static org.apache.hadoop.fs.Options.CreateFileOptionKeys.FS_OPTION_CREATE_CONDITIONAL_OVERWRITE;
import static org.apache.hadoop.fs.Options.CreateFileOptionKeys.FS_OPTION_CREATE_CONDITIONAL_OVERWRITE_ETAG;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.UUID;
import org.apache.hadoop.fs.EtagSource;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIsDirectoryException;
import org.apache.hadoop.fs.s3a.RemoteFileChangedException;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

/**
 * Small files that many processes may try to write and exactly one does: manifests and leases.
 *
 * <p>A reader sees no file or a whole one. Parents are made when needed. What a killed writer
 * leaves behind are hidden neighbours of the file ({@code .name.<uuid>.partial}), which nobody
 * reads. The content must name its writer (a run id, a random number): a file that holds exactly
 * this content counts as written by this call, because a store may carry a request out and still
 * report a failure. After an {@link IOException} the file may or may not be there; the call can be
 * repeated.
 *
 * <ul>
 *   <li>Local: a hard link to a complete neighbour, which fails where the name is taken ({@link
 *       LocalExclusiveFile}).
 *   <li>S3A: conditional writes, {@code If-None-Match: *} and {@code If-Match}.
 *   <li>HDFS and all others: {@link FileSystem#rename} of a complete neighbour, one atomic
 *       operation of the NameNode that refuses a name that is taken, as Hadoop's file system
 *       specification asks. {@code create(overwrite=false)} would show readers a file that is still
 *       being written, and a {@code FileContext} knows only schemes with an {@code
 *       AbstractFileSystem}.
 * </ul>
 */
final class ExclusiveFile {
  /** How often a write is sent to S3 that it refuses with "another one is in progress". */
  private static final int S3_ATTEMPTS = 5;

  private ExclusiveFile() {}

  /**
   * Makes a file that does not exist.
   *
   * @return whether the file is this call's; false if another one is there
   * @throws IOException if the file system fails, a folder has the name, or the store has no
   *     conditional writes
   */
  static boolean create(FileSystem fs, Path path, byte[] content) throws IOException {
    Optional<FileStatus> there = status(fs, path);
    if (there.isPresent()) {
      if (there.get().isDirectory()) {
        throw new PathIsDirectoryException(path.toString());
      }
      return there.get().getLen() == content.length && Arrays.equals(read(fs, path), content);
    }
    return switch (kind(fs)) {
      case LOCAL -> LocalExclusiveFile.create(local(fs, path), content);
      case S3 -> S3.create(fs, path, content);
      case RENAMING -> createByRename(fs, path, content, 0);
    };
  }

  /**
   * Replaces a file if it is still the one that was seen. The new content must differ from the old.
   *
   * <p>Atomic on the local file system and S3A. Elsewhere the old file is renamed away, which only
   * one caller can do; for that moment there is none, and a crash in it leaves none.
   *
   * @param seen from {@code fs.getFileStatus(path)}; length and modification time identify a
   *     version, on S3A the etag
   * @return whether this call replaced it; false if it was changed or deleted since
   * @throws IOException as {@link #create}
   */
  static boolean replace(FileSystem fs, Path path, FileStatus seen, byte[] content)
      throws IOException {
    if (!status(fs, path).filter(now -> same(now, seen)).isPresent()) {
      return false;
    }
    return switch (kind(fs)) {
      case LOCAL -> LocalExclusiveFile.replace(local(fs, path), seen, content);
      case S3 -> S3.replace(fs, path, seen, content);
      case RENAMING -> replaceByRename(fs, path, seen, content);
    };
  }

  /**
   * Checks that the file system keeps the promise of {@link #create}: some S3 stores ignore {@code
   * If-None-Match}, and two writers would both win. Three requests on S3A, none elsewhere.
   *
   * @param folder where a file is made and deleted
   */
  static void probe(FileSystem fs, Path folder) throws IOException {
    if (kind(fs) != Kind.S3) {
      return;
    }
    Path path = new Path(folder, ".probe-" + UUID.randomUUID());
    try {
      if (!S3.create(fs, path, "first".getBytes(StandardCharsets.UTF_8))
          || S3.create(fs, path, "second".getBytes(StandardCharsets.UTF_8))) {
        throw S3.unsupported(path, "the store overwrote a file that it should have kept", null);
      }
    } finally {
      fs.delete(path, false);
    }
  }

  /** Whether two statuses describe the same version of a file. */
  static boolean same(FileStatus now, FileStatus seen) {
    return now.getLen() == seen.getLen()
        && now.getModificationTime() == seen.getModificationTime()
        && (!(now instanceof EtagSource a && seen instanceof EtagSource b)
            || java.util.Objects.equals(a.getEtag(), b.getEtag()));
  }

  private enum Kind {
    LOCAL,
    S3,
    RENAMING
  }

  private static Kind kind(FileSystem fs) {
    // Not getScheme(), which a FilterFileSystem does not have.
    String scheme = fs.getUri().getScheme();
    if (scheme.equals("file")) {
      return Kind.LOCAL;
    }
    return scheme.startsWith("s3") ? Kind.S3 : Kind.RENAMING;
  }

  private static java.nio.file.Path local(FileSystem fs, Path path) {
    return java.nio.file.Path.of(fs.makeQualified(path).toUri().getPath());
  }

  private static Optional<FileStatus> status(FileSystem fs, Path path) throws IOException {
    try {
      return Optional.of(fs.getFileStatus(path));
    } catch (FileNotFoundException e) {
      return Optional.empty();
    }
  }

  private static byte[] read(FileSystem fs, Path path) throws IOException {
    try (InputStream in = fs.open(path)) {
      return in.readAllBytes();
    }
  }

  private static boolean createByRename(FileSystem fs, Path path, byte[] content, long notBefore)
      throws IOException {
    Path partial = neighbour(path);
    try {
      try (FSDataOutputStream out = fs.create(partial, false)) {
        out.write(content);
      }
      if (notBefore > 0 && fs.getFileStatus(partial).getModificationTime() < notBefore) {
        fs.setTimes(partial, notBefore, -1);
      }
      return rename(fs, partial, path);
    } finally {
      deleteQuietly(fs, partial);
    }
  }

  private static boolean replaceByRename(FileSystem fs, Path path, FileStatus seen, byte[] content)
      throws IOException {
    Path away = neighbour(path);
    if (!rename(fs, path, away)) {
      return false;
    }
    if (!same(fs.getFileStatus(away), seen)) {
      // Another caller was faster, and this is its file. Where a third one has made a file
      // meanwhile, that stays.
      if (!rename(fs, away, path)) {
        deleteQuietly(fs, away);
      }
      return false;
    }
    try {
      // A version is known by its time: two of them must not have the same.
      return createByRename(fs, path, content, seen.getModificationTime() + 1);
    } finally {
      deleteQuietly(fs, away);
    }
  }

  /** False if the source is gone or the target is there. */
  private static boolean rename(FileSystem fs, Path from, Path to) throws IOException {
    try {
      if (fs.rename(from, to)) {
        return true;
      }
    } catch (FileAlreadyExistsException | FileNotFoundException e) {
      return false;
    }
    if (fs.exists(to) || !fs.exists(from)) {
      return false;
    }
    throw new IOException("cannot rename " + from + " to " + to);
  }

  private static Path neighbour(Path path) {
    return new Path(path.getParent(), "." + path.getName() + "." + UUID.randomUUID() + ".partial");
  }

  private static void deleteQuietly(FileSystem fs, Path path) {
    try {
      fs.delete(path, false);
    } catch (IOException ignored) {
      // A hidden neighbour is left; whether the file was written must not depend on it.
    }
  }

  /**
   * Apart, because its classes are those of hadoop-aws and the AWS SDK, which a cluster may lack.
   */
  private static final class S3 {
    private S3() {}

    static boolean create(FileSystem fs, Path path, byte[] content) throws IOException {
      for (int attempt = 1; ; attempt++) {
        try {
          require(fs, path, FS_OPTION_CREATE_CONDITIONAL_OVERWRITE);
          put(fs, path, FS_OPTION_CREATE_CONDITIONAL_OVERWRITE, "true", content);
          return true;
        } catch (IOException e) {
          // A request may be carried out and reported as failed; its repetition then meets its
          // own file. So what counts is what is there.
          Optional<byte[]> there = content(fs, path, e);
          if (there.isPresent()) {
            return Arrays.equals(there.get(), content);
          }
          if (attempt == S3_ATTEMPTS || !contended(e)) {
            throw explained(path, e);
          }
        }
      }
    }

    static boolean replace(FileSystem fs, Path path, FileStatus seen, byte[] content)
        throws IOException {
      String etag = seen instanceof EtagSource source ? source.getEtag() : null;
      if (etag == null) {
        throw unsupported(path, "a file without etag", null);
      }
      for (int attempt = 1; ; attempt++) {
        try {
          require(fs, path, FS_OPTION_CREATE_CONDITIONAL_OVERWRITE_ETAG);
          put(fs, path, FS_OPTION_CREATE_CONDITIONAL_OVERWRITE_ETAG, etag, content);
          return true;
        } catch (IOException e) {
          Optional<byte[]> there = content(fs, path, e);
          if (there.isEmpty() || Arrays.equals(there.get(), content)) {
            return there.isPresent();
          }
          if (!status(fs, path).filter(now -> same(now, seen)).isPresent()) {
            return false;
          }
          if (attempt == S3_ATTEMPTS || !(contended(e) || statusCode(e) == 412)) {
            throw explained(path, e);
          }
        }
      }
    }

    private static void require(FileSystem fs, Path path, String capability) throws IOException {
      if (!fs.hasPathCapability(path, capability)) {
        throw unsupported(path, "the file system does not have " + capability, null);
      }
    }

    private static void put(
        FileSystem fs, Path path, String condition, String value, byte[] content)
        throws IOException {
      FSDataOutputStreamBuilder<?, ?> builder = fs.createFile(path);
      builder.recursive();
      builder.must(condition, value);
      try (FSDataOutputStream out = builder.build()) {
        out.write(content);
      }
    }

    private static Optional<byte[]> content(FileSystem fs, Path path, IOException failure)
        throws IOException {
      for (int attempt = 1; ; attempt++) {
        try {
          return Optional.of(read(fs, path));
        } catch (FileNotFoundException e) {
          return Optional.empty();
        } catch (RemoteFileChangedException e) {
          // Replaced while it was read: the next reading sees the new one.
          if (attempt == S3_ATTEMPTS) {
            failure.addSuppressed(e);
            throw failure;
          }
        } catch (IOException e) {
          failure.addSuppressed(e);
          throw failure;
        }
      }
    }

    /** S3's answer 409 to a conditional write while another one is in progress: send it again. */
    private static boolean contended(IOException e) {
      return statusCode(e) == 409;
    }

    private static int statusCode(Throwable e) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause instanceof AwsServiceException service) {
          return service.statusCode();
        }
      }
      return 0;
    }

    private static IOException explained(Path path, IOException e) {
      return statusCode(e) == 501 ? unsupported(path, "the store answers 501", e) : e;
    }

    static IOException unsupported(Path path, String found, IOException cause) {
      return new IOException(
          path
              + ": "
              + found
              + " (expected: conditional writes, which let one writer win; hadoop-aws 3.4.2 or newer"
              + " with fs.s3a.create.conditional.enabled=true and a store that honours If-None-Match"
              + " and If-Match, as AWS S3 does; else write to HDFS or a local folder)",
          cause);
    }
  }
}
