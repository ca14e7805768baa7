package io.lakegen.jobs.run;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.io.OutputStream;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * The output folder of a job: {@code run_id=<id>/part-*.parquet} and {@code
 * _lakegen/runs/<id>.json}, the manifest. A run counts only when its manifest is there.
 */
public final class RunOutput {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  private final FileSystem fs;
  private final Path root;

  private RunOutput(FileSystem fs, Path root) {
    this.fs = fs;
    this.root = root;
  }

  /** Checks that a run can be written; empty if there are problems. */
  static Optional<RunOutput> check(String uri, Configuration conf, Problems problems) {
    try {
      Path root = new Path(uri);
      FileSystem fs = root.getFileSystem(conf);
      RunOutput output = new RunOutput(fs, fs.makeQualified(root));
      return output.clash(problems) ? Optional.empty() : Optional.of(output);
    } catch (IOException | IllegalArgumentException e) {
      problems.add(
          "output",
          uri,
          "a folder that can be written; " + e.getClass().getSimpleName() + ": " + e.getMessage());
      return Optional.empty();
    }
  }

  private boolean clash(Problems problems) throws IOException {
    if (!fs.exists(root)) {
      for (Path parent = root.getParent(); parent != null; parent = parent.getParent()) {
        if (fs.exists(parent)) {
          if (fs.getFileStatus(parent).isFile()) {
            problems.add("output", root, "a path below folders; " + parent + " is a file");
            return true;
          }
          return false;
        }
      }
      return false;
    }
    if (fs.getFileStatus(root).isFile()) {
      problems.add("output", root, "a folder; a file is there");
      return true;
    }
    Path runs = manifests();
    if (fs.exists(runs) && fs.listStatus(runs).length > 0) {
      problems.add(
          "output",
          root,
          "a new folder; it holds the finished run " + fs.listStatus(runs)[0].getPath().getName());
      return true;
    }
    for (FileStatus child : fs.listStatus(root)) {
      if (!child.getPath().getName().startsWith("run_id=")
          && !child.getPath().getName().equals("_lakegen")) {
        problems.add(
            "output", root, "a new or empty folder; it holds " + child.getPath().getName());
        return true;
      }
    }
    return false;
  }

  /** An identifier that sorts by time and never comes twice. */
  static String newRunId() {
    byte[] random = new byte[3];
    new SecureRandom().nextBytes(random);
    return DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'", java.util.Locale.ROOT)
            .withZone(ZoneOffset.UTC)
            .format(Instant.now())
        + "-"
        + HexFormat.of().formatHex(random);
  }

  /** The folder. */
  public Path root() {
    return root;
  }

  /** Where the rows of a run go. */
  Path rows(String runId) {
    return new Path(root, "run_id=" + runId);
  }

  private Path manifests() {
    return new Path(root, "_lakegen/runs");
  }

  /** Writes the manifest so that it is there whole or not at all. */
  void commit(String runId, Map<String, Object> manifest) throws IOException {
    byte[] content = JSON.writeValueAsBytes(manifest);
    Path target = new Path(manifests(), runId + ".json");
    if (fs.getScheme().startsWith("s3")) {
      // An object store shows an object when its upload is complete, and has no atomic rename.
      write(target, content);
      return;
    }
    Path partial = new Path(root, "_lakegen/partial-" + runId + ".json");
    write(partial, content);
    fs.mkdirs(manifests());
    if (!fs.rename(partial, target)) {
      throw new IOException("cannot rename " + partial + " to " + target);
    }
  }

  private void write(Path path, byte[] content) throws IOException {
    try (OutputStream out = fs.create(path, true)) {
      out.write(content);
    }
  }
}
