package io.lakegen.model;

import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Fetches model packs from any Hadoop file system into a content-addressed folder of this node.
 *
 * <p>A pack's folder is named after the digest of its {@code pack.json}, appears by one atomic
 * rename and is never changed after it. A file lock makes concurrent executors of a node fetch a
 * pack once; the digests of a pack that is already there are checked again at every {@link #fetch},
 * so a damaged copy is replaced rather than loaded. Thread-safe.
 */
public final class PackStore {
  private static final Logger LOG = LoggerFactory.getLogger(PackStore.class);

  /**
   * File locks are held per JVM: two threads of one JVM asking for the same lock would get an
   * exception, not a wait.
   */
  private static final Object JVM_LOCK = new Object();

  private final Path root;

  /** A store in the given folder, which is made when needed. */
  public PackStore(Path root) {
    this.root = root;
  }

  /**
   * The store of this node: {@code $LAKEGEN_CACHE}, else {@code ~/.cache/lakegen}, else (no
   * writable home, as in some containers) the temporary folder.
   */
  public static PackStore ofNode() {
    String configured = System.getenv("LAKEGEN_CACHE");
    if (configured != null && !configured.isBlank()) {
      return new PackStore(Path.of(configured, "packs"));
    }
    Path home = Path.of(System.getProperty("user.home", "/nonexistent"));
    Path base =
        Files.isWritable(home)
            ? home.resolve(".cache")
            : Path.of(System.getProperty("java.io.tmpdir"));
    return new PackStore(base.resolve("lakegen").resolve("packs"));
  }

  /**
   * Brings a pack to this node and checks it.
   *
   * @param uri folder of the pack on any file system that {@code conf} knows; a path without scheme
   *     is resolved against the default file system
   * @throws InvalidPackException if a file is missing, differs from its digest, or {@code
   *     pack.json} breaks the format
   * @throws IOException if the pack or the node's folder cannot be read or written
   */
  public ModelPack fetch(String uri, Configuration conf) throws IOException {
    org.apache.hadoop.fs.Path source = new org.apache.hadoop.fs.Path(uri);
    FileSystem fs = source.getFileSystem(conf);
    byte[] content;
    try (InputStream in = fs.open(new org.apache.hadoop.fs.Path(source, PackJson.FILE))) {
      content = in.readAllBytes();
    } catch (FileNotFoundException e) {
      throw new InvalidPackException(
          uri,
          new Problem(
              PackJson.FILE,
              "missing",
              "a folder made by the model exporter, with " + PackJson.FILE));
    }
    PackSpec spec = PackJson.parse(uri, content);
    String sha256 = HexFormat.of().formatHex(digest().digest(content));
    Path folder = root.resolve(sha256);
    Files.createDirectories(root);
    synchronized (JVM_LOCK) {
      try (FileChannel channel =
              FileChannel.open(
                  root.resolve(sha256 + ".lock"),
                  StandardOpenOption.CREATE,
                  StandardOpenOption.WRITE);
          FileLock lock = channel.lock()) {
        if (!lock.isValid()
            || !intact(folder, content, spec)
            || !complete(fs, source, folder, spec)) {
          download(uri, fs, source, content, spec, folder);
        }
      }
    }
    return new ModelPack(folder, spec, sha256);
  }

  private boolean intact(Path folder, byte[] content, PackSpec spec) throws IOException {
    if (!Files.isDirectory(folder)) {
      return false;
    }
    for (Map.Entry<String, String> file : spec.sha256().entrySet()) {
      Path path = folder.resolve(file.getKey());
      if (!Files.isRegularFile(path) || !sha256(path).equals(file.getValue())) {
        LOG.warn("{} is damaged: fetching the pack again", path);
        delete(folder);
        return false;
      }
    }
    return Files.isRegularFile(folder.resolve(PackJson.FILE))
        && java.util.Arrays.equals(Files.readAllBytes(folder.resolve(PackJson.FILE)), content);
  }

  /**
   * Whether the source still has the files, by their lengths: a node that has the pack already must
   * not hide that others cannot fetch it.
   */
  private static boolean complete(
      FileSystem fs, org.apache.hadoop.fs.Path source, Path folder, PackSpec spec)
      throws IOException {
    for (String file : spec.sha256().keySet()) {
      try {
        long length = fs.getFileStatus(new org.apache.hadoop.fs.Path(source, file)).getLen();
        if (length != Files.size(folder.resolve(file))) {
          return false;
        }
      } catch (FileNotFoundException e) {
        return false;
      }
    }
    return true;
  }

  private void download(
      String uri,
      FileSystem fs,
      org.apache.hadoop.fs.Path source,
      byte[] content,
      PackSpec spec,
      Path folder)
      throws IOException {
    long start = System.nanoTime();
    // One name, guarded by the lock: what a killed JVM left behind goes away here.
    Path partial = root.resolve(folder.getFileName() + ".partial");
    delete(partial);
    Files.createDirectories(partial);
    try {
      Problems problems = new Problems();
      for (Map.Entry<String, String> file : spec.sha256().entrySet()) {
        MessageDigest digest = digest();
        try (InputStream in =
                new DigestInputStream(
                    fs.open(new org.apache.hadoop.fs.Path(source, file.getKey())), digest);
            OutputStream out = Files.newOutputStream(partial.resolve(file.getKey()))) {
          in.transferTo(out);
        } catch (FileNotFoundException e) {
          problems.add(file.getKey(), "missing", "a file of the pack");
          continue;
        }
        String actual = HexFormat.of().formatHex(digest.digest());
        if (!actual.equals(file.getValue())) {
          problems.add("sha256." + file.getKey(), actual, file.getValue());
        }
      }
      if (!problems.isEmpty()) {
        throw new InvalidPackException(uri, problems.list());
      }
      Files.write(partial.resolve(PackJson.FILE), content);
      delete(folder);
      Files.move(partial, folder, StandardCopyOption.ATOMIC_MOVE);
      LOG.info(
          "fetched model pack {} to {} in {} ms",
          uri,
          folder,
          (System.nanoTime() - start) / 1_000_000);
    } finally {
      delete(partial);
    }
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path path : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  private static String sha256(Path path) throws IOException {
    MessageDigest digest = digest();
    try (InputStream in = new DigestInputStream(Files.newInputStream(path), digest)) {
      in.transferTo(OutputStream.nullOutputStream());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
