package io.lakegen.jobs.run;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.input.Address;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * What was committed to an output, in the order of time: one file an entry, numbered without gaps.
 * An entry is made by creating the next number, which only one writer can do; so of two runs that
 * both believe to own the output, one fails at its next commit. The entries' input ranges, of which
 * there may be millions, are left in the files. Not thread-safe.
 */
final class CommitLog {
  private static final ObjectMapper JSON =
      new ObjectMapper().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

  private final FileSystem fs;
  private final Path folder;
  private final List<Commit> entries = new ArrayList<>();

  private CommitLog(FileSystem fs, Path folder) {
    this.fs = fs;
    this.folder = folder;
  }

  /**
   * Reads a log; one that does not exist yet is empty.
   *
   * @throws IOException also for an entry of another format
   */
  static CommitLog read(FileSystem fs, Path folder) throws IOException {
    CommitLog log = new CommitLog(fs, folder);
    FileStatus[] files;
    try {
      files = fs.listStatus(folder, p -> p.getName().endsWith(".json.gz"));
    } catch (FileNotFoundException e) {
      return log;
    }
    for (FileStatus file :
        Stream.of(files).sorted(Comparator.comparing(FileStatus::getPath)).toList()) {
      log.entries.add(log.entry(file.getPath()).withoutCovers());
    }
    return log;
  }

  private Commit entry(Path file) throws IOException {
    try (InputStream in = new GZIPInputStream(fs.open(file))) {
      Commit commit = JSON.readValue(in, Commit.class);
      if (commit.format() != Commit.FORMAT) {
        throw new IOException("format " + commit.format() + " (expected: " + Commit.FORMAT + ")");
      }
      return commit;
    } catch (IOException e) {
      throw new IOException(file + " cannot be read: " + e.getMessage(), e);
    }
  }

  /**
   * Adds an entry.
   *
   * @throws IOException if another run has added one since; nothing was changed then
   */
  void append(Commit commit) throws IOException {
    Path file = file(entries.size());
    if (!ExclusiveFile.create(fs, file, content(commit))) {
      throw new IOException(
          file
              + " is there already: another run has taken over the output. Nothing of it was"
              + " changed by this one");
    }
    entries.add(commit.withoutCovers());
  }

  /** The input ranges of a chunk, read from its entry. */
  List<Address> ranges(Commit chunk) throws IOException {
    return entry(file(entries.indexOf(chunk))).ranges();
  }

  private Path file(int number) {
    return new Path(folder, String.format(Locale.ROOT, "%09d.json.gz", number));
  }

  static byte[] content(Commit commit) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(bytes)) {
      JSON.writeValue(out, commit);
    }
    return bytes.toByteArray();
  }

  /** Whether nothing has been added since this log was read. */
  boolean isCurrent() throws IOException {
    return !fs.exists(file(entries.size()));
  }

  /** Chunks that count. */
  List<Commit> chunks() {
    List<Commit> chunks = new ArrayList<>();
    for (Commit entry : entries) {
      if (entry.replaces()) {
        chunks.clear();
        chunksOf(entry.runId()).forEach(chunks::add);
      } else if (!entry.pending()) {
        chunks.add(entry);
      }
    }
    return chunks;
  }

  private Stream<Commit> chunksOf(String runId) {
    return entries.stream().filter(e -> !e.replaces() && e.runId().equals(runId));
  }

  /** Chunks of the last run, if it is one that has yet to replace the others. */
  List<Commit> pending() {
    if (entries.isEmpty() || !entries.get(entries.size() - 1).pending()) {
      return List.of();
    }
    return chunksOf(entries.get(entries.size() - 1).runId()).toList();
  }

  /** Chunks whose error rows were tried again, as run and number. */
  Set<String> retried() {
    Set<String> retried = new HashSet<>();
    chunks().forEach(c -> retried.addAll(c.retries()));
    return retried;
  }

  boolean isEmpty() {
    return entries.isEmpty();
  }
}
