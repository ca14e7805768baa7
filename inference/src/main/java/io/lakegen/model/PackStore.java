package io.lakegen.model;

import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
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
 * pack once; a pack that is already there is checked again at every {@link #fetch}, so a damaged
 * copy is replaced rather than loaded: by its digests at the first fetch of a JVM, and at further
 * ones if the file system says that a file was touched since. Thread-safe.
 */
public final class PackStore {
  private static final Logger LOG = LoggerFactory.getLogger(PackStore.class);

  /**
   * File locks are held per JVM: two threads of one JVM asking for the same lock would get an
   * exception, not a wait.
   */
  private static final Object JVM_LOCK = new Object();

  /** Stamps of the folders whose digests this JVM has checked; guarded by the lock. */
  private static final Map<Path, Map<String, String>> CHECKED = new HashMap<>();

  /** Exporters write a few kilobytes. */
  private static final int MOST_JSON_BYTES = 16 << 20;

  private final Path root;

  /** A folder above the root that only this user may write to; null if that does not matter. */
  private final Path privateBase;

  /** A store in the given folder, which is made when needed. */
  public PackStore(Path root) {
    this(root, null);
  }

  private PackStore(Path root, Path privateBase) {
    this.root = root;
    this.privateBase = privateBase;
  }

  /** A store below a folder that everybody may write to, safe from what others put there. */
  static PackStore inShared(Path folder) {
    Path base = folder.resolve("lakegen-" + System.getProperty("user.name"));
    return new PackStore(base.resolve("packs"), base);
  }

  /**
   * The store of this node: {@code $LAKEGEN_CACHE}, else {@code ~/.cache/lakegen}, else (no
   * writable home, as in some containers) a folder of this user in the temporary folder.
   */
  public static PackStore ofNode() {
    String configured = System.getenv("LAKEGEN_CACHE");
    if (configured != null && !configured.isBlank()) {
      return new PackStore(Path.of(configured, "packs"));
    }
    Path home = Path.of(System.getProperty("user.home", "/nonexistent"));
    return Files.isWritable(home)
        ? new PackStore(home.resolve(".cache").resolve("lakegen").resolve("packs"))
        : inShared(Path.of(System.getProperty("java.io.tmpdir")));
  }

  /**
   * Brings a pack to this node and checks it.
   *
   * @param uri folder of the pack on any file system that {@code conf} knows; a path without scheme
   *     is resolved against the default file system
   * @throws InvalidPackException if a file is missing, differs from its digest or leads out of the
   *     pack's folder, or {@code pack.json} breaks the format; nothing was loaded then
   * @throws IOException if the pack or the node's folder cannot be read or written
   */
  public ModelPack fetch(String uri, Configuration conf) throws IOException {
    org.apache.hadoop.fs.Path source = new org.apache.hadoop.fs.Path(uri);
    FileSystem fs = source.getFileSystem(conf);
    byte[] content = descriptor(uri, fs, source);
    PackSpec spec = PackJson.parse(uri, content);
    checkSource(uri, fs, source, spec.sha256().keySet());
    String sha256 = HexFormat.of().formatHex(digest().digest(content));
    Path folder = root.resolve(sha256);
    prepareRoot();
    Map<String, String> stamps;
    synchronized (JVM_LOCK) {
      try (FileChannel channel =
              FileChannel.open(
                  root.resolve(sha256 + ".lock"),
                  StandardOpenOption.CREATE,
                  StandardOpenOption.WRITE);
          FileLock lock = channel.lock()) {
        // Taken before the digests: what is written to a file after that shows.
        stamps = PackFiles.stamps(folder, spec);
        if (!lock.isValid()
            || !intact(folder, content, spec, stamps)
            || !complete(fs, source, folder, spec)) {
          download(uri, fs, source, content, spec, folder);
          stamps = PackFiles.stamps(folder, spec);
        } else {
          // A copy that an earlier version made was not checked for this.
          Problems problems = new Problems();
          PackFiles.checkGraphs(folder, spec, problems);
          throwIfAny(uri, problems);
        }
        CHECKED.put(folder, stamps);
      }
    }
    return new ModelPack(folder, spec, sha256, stamps);
  }

  private static byte[] descriptor(String uri, FileSystem fs, org.apache.hadoop.fs.Path source)
      throws IOException {
    checkSource(uri, fs, source, List.of(PackJson.FILE));
    byte[] content;
    try (InputStream in = fs.open(new org.apache.hadoop.fs.Path(source, PackJson.FILE))) {
      content = in.readNBytes(MOST_JSON_BYTES + 1);
    } catch (FileNotFoundException e) {
      throw new InvalidPackException(
          uri,
          new Problem(
              PackJson.FILE,
              "missing",
              "a folder made by the model exporter, with " + PackJson.FILE));
    }
    if (content.length > MOST_JSON_BYTES) {
      throw new InvalidPackException(
          uri,
          new Problem(
              PackJson.FILE,
              "more than " + MOST_JSON_BYTES + " bytes",
              "at most " + MOST_JSON_BYTES));
    }
    return content;
  }

  /** The folder that holds the packs, each by its digest; it may not be there yet. */
  public Path root() {
    return root;
  }

  /**
   * Disk that a pack takes on this node.
   *
   * @param bytes of all its files
   * @param present whether a copy is there already
   */
  record Need(long bytes, boolean present) {}

  /** What {@link #fetch} will need; fetches nothing. */
  Need need(String uri, Configuration conf) throws IOException {
    PackInfo info = info(uri, conf);
    return new Need(info.totalBytes(), Files.isDirectory(root.resolve(info.sha256())));
  }

  /**
   * Reads what a pack says of itself, and how large its files are.
   *
   * @throws InvalidPackException if {@code pack.json} is missing or breaks the format
   */
  public static PackInfo info(String uri, Configuration conf) throws IOException {
    org.apache.hadoop.fs.Path source = new org.apache.hadoop.fs.Path(uri);
    FileSystem fs = source.getFileSystem(conf);
    byte[] content = descriptor(uri, fs, source);
    PackSpec spec = PackJson.parse(uri, content);
    Map<String, Long> bytes = new HashMap<>(Map.of(PackJson.FILE, (long) content.length));
    for (String file : spec.sha256().keySet()) {
      org.apache.hadoop.fs.Path path = new org.apache.hadoop.fs.Path(source, file);
      bytes.put(file, fs.exists(path) ? fs.getFileStatus(path).getLen() : -1);
    }
    return new PackInfo(spec, HexFormat.of().formatHex(digest().digest(content)), bytes);
  }

  private static void checkSource(
      String uri, FileSystem fs, org.apache.hadoop.fs.Path source, Collection<String> names)
      throws IOException {
    Problems problems = new Problems();
    PackFiles.checkSource(fs, source, names, problems);
    throwIfAny(uri, problems);
  }

  private static void throwIfAny(String uri, Problems problems) {
    if (!problems.isEmpty()) {
      throw new InvalidPackException(uri, problems.list());
    }
  }

  /**
   * Makes the folder. One below a folder that everybody may write to is made for this user alone,
   * and must be so if it is there already: whoever owns it could put code in a model's place.
   */
  void prepareRoot() throws IOException {
    if (privateBase != null) {
      try {
        Files.createDirectory(
            privateBase,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      } catch (FileAlreadyExistsException e) {
        requirePrivate(privateBase);
      }
    }
    Files.createDirectories(root);
  }

  private static void requirePrivate(Path base) throws IOException {
    PosixFileAttributes attributes =
        Files.readAttributes(base, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    Path mine = Files.createTempFile("lakegen", ".owner");
    try {
      if (!attributes.isDirectory()
          || !attributes.owner().equals(Files.getOwner(mine))
          || attributes.permissions().contains(PosixFilePermission.GROUP_WRITE)
          || attributes.permissions().contains(PosixFilePermission.OTHERS_WRITE)) {
        throw new IOException(
            base
                + ": others can write to it (expected: a folder of this user alone; remove it, or"
                + " set LAKEGEN_CACHE to another folder)");
      }
    } finally {
      Files.delete(mine);
    }
  }

  private boolean intact(Path folder, byte[] content, PackSpec spec, Map<String, String> stamps)
      throws IOException {
    if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    try (Stream<Path> files = Files.list(folder)) {
      // An engine or tokenizer may look for files that lie beside its own.
      if (files.count() != spec.sha256().size() + 1) {
        LOG.warn("{} holds other files than the pack: fetching it again", folder);
        delete(folder);
        return false;
      }
    }
    boolean touched = !stamps.equals(CHECKED.get(folder));
    for (Map.Entry<String, String> file : spec.sha256().entrySet()) {
      Path path = folder.resolve(file.getKey());
      if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)
          || (touched && !sha256(path).equals(file.getValue()))) {
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
      throwIfAny(uri, problems);
      PackFiles.checkGraphs(partial, spec, problems);
      throwIfAny(uri, problems);
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
    if (!Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
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
