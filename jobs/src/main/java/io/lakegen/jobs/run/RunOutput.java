package io.lakegen.jobs.run;

import io.lakegen.problem.Problems;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The output folder of jobs:
 *
 * <pre>
 * run_id=ID/chunk=N/part-*.parquet          good rows
 * _errors/run_id=ID/chunk=N/part-*.parquet  error rows
 * _lakegen/commits/NNNNNNNNN.json.gz        what counts, see {@link CommitLog}
 * _lakegen/lease                            who writes
 * _lakegen/staging/ID-N/...                 chunks until they are committed
 * _lakegen/pending/run_id=ID/chunk=N        chunks of a run that will replace the others
 * </pre>
 *
 * <p>Where folders can be renamed, a chunk's files are staged, its entry is written to the log, and
 * its folders are moved to their places; a crash between the last two is mended by {@link
 * #recover}. An object store cannot rename: there the committer makes a chunk's files visible just
 * before the log's entry is written, and {@link #recover} takes away those without one.
 */
public final class RunOutput {
  private static final Logger LOG = LoggerFactory.getLogger(RunOutput.class);

  private static final String ERRORS = "_errors";
  private static final String OWN = "_lakegen";

  private final FileSystem fs;
  private final Path root;
  private CommitLog log;

  private RunOutput(FileSystem fs, Path root) {
    this.fs = fs;
    this.root = root;
  }

  /**
   * An output that is there, or may be made.
   *
   * @throws IOException if its log cannot be read
   */
  public static RunOutput open(String uri, Configuration conf) throws IOException {
    Path root = new Path(uri);
    FileSystem fs = root.getFileSystem(conf);
    RunOutput output = new RunOutput(fs, fs.makeQualified(root));
    output.log = CommitLog.read(fs, output.own("commits"));
    return output;
  }

  /** Checks that a run can be written; empty if there are problems. */
  static Optional<RunOutput> check(String uri, Configuration conf, Problems problems) {
    try {
      RunOutput output = open(uri, conf);
      Optional<String> clash = output.clash();
      clash.ifPresent(expected -> problems.add("output", output.root, expected));
      return clash.isPresent() ? Optional.empty() : Optional.of(output);
    } catch (IOException | IllegalArgumentException e) {
      problems.add(
          "output",
          uri,
          "a folder that can be written; " + e.getClass().getSimpleName() + ": " + e.getMessage());
      return Optional.empty();
    }
  }

  private Optional<String> clash() throws IOException {
    if (!fs.exists(root)) {
      for (Path parent = root.getParent(); parent != null; parent = parent.getParent()) {
        if (fs.exists(parent)) {
          return fs.getFileStatus(parent).isFile()
              ? Optional.of("a path below folders; " + parent + " is a file")
              : Optional.empty();
        }
      }
      return Optional.empty();
    }
    if (fs.getFileStatus(root).isFile()) {
      return Optional.of("a folder; a file is there");
    }
    if (fs.exists(own(""))) {
      return writer().map(owner -> "a folder that no run writes to; " + owner);
    }
    for (FileStatus child : fs.listStatus(root)) {
      return Optional.of(
          "a new or empty folder, or the output of a job; it holds " + child.getPath().getName());
    }
    return Optional.empty();
  }

  /** An identifier that sorts by time and never comes twice. */
  static String newRunId() {
    byte[] random = new byte[3];
    new SecureRandom().nextBytes(random);
    return DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'", Locale.ROOT)
            .withZone(ZoneOffset.UTC)
            .format(Instant.now())
        + "-"
        + HexFormat.of().formatHex(random);
  }

  /** Whether a file system has no folders that could be renamed. */
  static boolean isObjectStore(FileSystem fs) {
    return fs.getUri().getScheme().startsWith("s3");
  }

  /** The folder. */
  public Path root() {
    return root;
  }

  FileSystem fileSystem() {
    return fs;
  }

  CommitLog log() {
    return log;
  }

  /** Chunks that count, in the order of their commits. */
  public List<Commit> chunks() {
    return log.chunks();
  }

  private Path own(String path) {
    return new Path(root, path.isEmpty() ? OWN : OWN + "/" + path);
  }

  /** Who writes now, in words. */
  Optional<String> writer() throws IOException {
    return Lease.owner(fs, own("lease"));
  }

  /** Takes the right to write. */
  Lease lease(String runId) throws IOException {
    fs.mkdirs(own(""));
    ExclusiveFile.probe(fs, own(""));
    return Lease.take(fs, own("lease"), runId);
  }

  /** Where a chunk's good rows stand, relative to what holds all runs. */
  static String rows(String runId, int chunk) {
    return "run_id=" + runId + "/chunk=" + chunk;
  }

  /** Where its error rows stand, likewise. */
  static String errors(String runId, int chunk) {
    return ERRORS + "/" + rows(runId, chunk);
  }

  /** The folder of all error rows. */
  public Path errors() {
    return new Path(root, ERRORS);
  }

  /** Where the committer of a chunk puts {@link #rows} and {@link #errors}. */
  Path destination(String runId, int chunk, boolean pending) {
    if (isObjectStore(fs)) {
      return pending ? own("pending") : root;
    }
    return own("staging/" + runId + "-" + chunk);
  }

  /** A folder for what only this run needs. */
  Path scratch(String name) {
    return own("staging/" + name);
  }

  /** Makes the files of a committed chunk visible. */
  void publish(Commit commit) throws IOException {
    if (isObjectStore(fs)) {
      return;
    }
    Path staged = destination(commit.runId(), commit.chunk(), commit.pending());
    Path target = commit.pending() ? own("pending") : root;
    for (String folder :
        List.of(errors(commit.runId(), commit.chunk()), rows(commit.runId(), commit.chunk()))) {
      move(new Path(staged, folder), new Path(target, folder));
    }
    fs.delete(staged, true);
  }

  /** Removes the folders that only a run needs. */
  void tidy() throws IOException {
    fs.delete(own("staging"), true);
    if (log.pending().isEmpty()) {
      fs.delete(own("pending"), true);
    }
  }

  private void move(Path from, Path to) throws IOException {
    if (!fs.exists(from)) {
      return;
    }
    if (isObjectStore(fs)) {
      moveFiles(from, to);
      return;
    }
    fs.mkdirs(to.getParent());
    if (fs.exists(to) || !fs.rename(from, to)) {
      throw new IOException("cannot rename " + from + " to " + to);
    }
  }

  /** File by file, so that it can be gone on with after a crash: an object is there whole. */
  private void moveFiles(Path from, Path to) throws IOException {
    RemoteIterator<LocatedFileStatus> files = fs.listFiles(from, true);
    while (files.hasNext()) {
      Path file = files.next().getPath();
      String below = file.toString().substring(from.toString().length() + 1);
      Path target = new Path(to, below);
      if (fs.exists(target)) {
        fs.delete(file, false);
      } else {
        fs.mkdirs(target.getParent());
        if (!fs.rename(file, target)) {
          throw new IOException("cannot rename " + file + " to " + target);
        }
      }
    }
    fs.delete(from, true);
  }

  /** Removes what a failed chunk may have left. */
  void discard(String runId, int chunk, boolean pending) throws IOException {
    Path destination = destination(runId, chunk, pending);
    if (isObjectStore(fs)) {
      fs.delete(new Path(destination, rows(runId, chunk)), true);
      fs.delete(new Path(destination, errors(runId, chunk)), true);
    } else {
      fs.delete(destination, true);
    }
  }

  /** Removes the error rows of chunks that were tried again. */
  void dropErrors(List<String> chunks) throws IOException {
    for (String id : chunks) {
      int slash = id.lastIndexOf('/');
      String runId = id.substring(0, slash);
      fs.delete(new Path(root, errors(runId, Integer.parseInt(id.substring(slash + 1)))), true);
    }
  }

  /** Makes the pending chunks of a run, now committed as a whole, take the place of all others. */
  void replace(String runId) throws IOException {
    Set<String> keep = new HashSet<>(Set.of("run_id=" + runId));
    for (Path runs : List.of(root, errors())) {
      for (FileStatus run : runFolders(runs)) {
        if (!keep.contains(run.getPath().getName())) {
          fs.delete(run.getPath(), true);
        }
      }
    }
    move(own("pending/" + ERRORS + "/run_id=" + runId), new Path(errors(), "run_id=" + runId));
    move(own("pending/run_id=" + runId), new Path(root, "run_id=" + runId));
  }

  /**
   * Puts in order what dead runs have left: finishes what is committed, removes what is not. Only
   * for the owner of the lease.
   *
   * @param keepPending whether the pending chunks of the last run will be gone on with
   */
  void recover(boolean keepPending) throws IOException {
    PendingUploads.abort(fs, root);
    List<Commit> chunks = log.chunks();
    if (!isObjectStore(fs)) {
      for (Commit commit : chunks) {
        if (fs.exists(destination(commit.runId(), commit.chunk(), commit.pending()))) {
          LOG.info("publishing chunk {}, which was committed before a crash", commit.id());
          publish(commit);
        }
      }
      if (keepPending) {
        for (Commit commit : log.pending()) {
          if (fs.exists(destination(commit.runId(), commit.chunk(), true))) {
            publish(commit);
          }
        }
      }
    }
    Set<String> runs = new HashSet<>();
    chunks.forEach(c -> runs.add(c.runId()));
    for (String run : runs) {
      if (fs.exists(own("pending/run_id=" + run))
          || fs.exists(own("pending/" + ERRORS + "/run_id=" + run))) {
        replace(run);
      }
    }
    fs.delete(own("staging"), true);
    if (keepPending) {
      sweep(own("pending"), log.pending(), Set.of());
    } else {
      fs.delete(own("pending"), true);
    }
    sweep(root, chunks, log.retried());
  }

  /** Removes chunks that are not in the log. */
  private void sweep(Path folder, List<Commit> chunks, Set<String> retried) throws IOException {
    Set<String> rows = new HashSet<>();
    Set<String> errors = new HashSet<>();
    for (Commit commit : chunks) {
      rows.add(rows(commit.runId(), commit.chunk()));
      if (!retried.contains(commit.id())) {
        errors.add(rows(commit.runId(), commit.chunk()));
      }
    }
    sweep(folder, rows);
    sweep(new Path(folder, ERRORS), errors);
  }

  private void sweep(Path folder, Set<String> keep) throws IOException {
    for (FileStatus run : runFolders(folder)) {
      boolean empty = true;
      for (FileStatus chunk : fs.listStatus(run.getPath())) {
        if (keep.contains(run.getPath().getName() + "/" + chunk.getPath().getName())) {
          empty = false;
        } else {
          LOG.info("removing {}, which no run has committed", chunk.getPath());
          fs.delete(chunk.getPath(), true);
        }
      }
      if (empty) {
        fs.delete(run.getPath(), true);
      }
    }
  }

  private List<FileStatus> runFolders(Path folder) throws IOException {
    try {
      List<FileStatus> runs = new ArrayList<>();
      for (FileStatus child : fs.listStatus(folder)) {
        if (child.isDirectory() && child.getPath().getName().startsWith("run_id=")) {
          runs.add(child);
        }
      }
      return runs;
    } catch (FileNotFoundException e) {
      return List.of();
    }
  }
}
