package io.lakegen.jobs.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.UUID;
import org.apache.hadoop.fs.FileStatus;

/**
 * {@link ExclusiveFile} on the local file system, with java.nio: Hadoop's local rename replaces
 * what is there, and its files come with a hidden checksum file of their own, so that the two never
 * change at once. Files without one are read without verification.
 */
final class LocalExclusiveFile {
  private LocalExclusiveFile() {}

  static boolean create(Path path, byte[] content) throws IOException {
    Path partial = partial(path, content);
    try {
      // The checksums of a file that was deleted without them would make this one unreadable.
      Files.deleteIfExists(sibling(path, ".crc"));
      try {
        Files.createLink(path, partial);
        return true;
      } catch (FileAlreadyExistsException e) {
        return false;
      } catch (UnsupportedOperationException | FileSystemException e) {
        // No hard links here. As all writers of this folder meet the same, a lock does.
        return locked(
            path,
            () -> {
              if (Files.exists(path)) {
                return false;
              }
              Files.move(partial, path, StandardCopyOption.ATOMIC_MOVE);
              return true;
            });
      }
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  static boolean replace(Path path, FileStatus seen, byte[] content) throws IOException {
    Path partial = partial(path, content);
    try {
      return locked(
          path,
          () -> {
            if (!isVersion(path, seen)) {
              return false;
            }
            // A version is known by its time: two of them must not have the same.
            long after = seen.getModificationTime() + 1;
            if (Files.getLastModifiedTime(partial).toMillis() < after) {
              Files.setLastModifiedTime(partial, FileTime.fromMillis(after));
            }
            Files.deleteIfExists(sibling(path, ".crc"));
            Files.move(partial, path, StandardCopyOption.ATOMIC_MOVE);
            return true;
          });
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  private static boolean isVersion(Path path, FileStatus seen) throws IOException {
    try {
      return Files.size(path) == seen.getLen()
          && Files.getLastModifiedTime(path).toMillis() == seen.getModificationTime();
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private static Path partial(Path path, byte[] content) throws IOException {
    Files.createDirectories(path.getParent());
    Path partial = sibling(path, "." + UUID.randomUUID() + ".partial");
    try (FileChannel out =
        FileChannel.open(partial, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      for (ByteBuffer left = ByteBuffer.wrap(content); left.hasRemaining(); ) {
        out.write(left);
      }
      // Else a power failure could leave the name without the bytes.
      out.force(true);
    }
    return partial;
  }

  private static Path sibling(Path path, String suffix) {
    return path.resolveSibling("." + path.getFileName() + suffix);
  }

  private interface Step {
    boolean run() throws IOException;
  }

  /**
   * One at a time among threads (file locks are held per JVM) and processes (a lock ends with its
   * process). The lock file stays: deleting it would let two processes lock two files.
   */
  private static synchronized boolean locked(Path path, Step step) throws IOException {
    try (FileChannel channel =
            FileChannel.open(
                path.resolveSibling(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock lock = channel.lock()) {
      return lock.isValid() && step.run();
    }
  }
}
