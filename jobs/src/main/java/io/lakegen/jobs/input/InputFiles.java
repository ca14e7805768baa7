package io.lakegen.jobs.input;

import io.lakegen.problem.Problems;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;

/**
 * The files behind the {@code --input} options.
 *
 * @param roots what was asked for, globs resolved
 * @param files every file below them but hidden ones (a name that starts with a dot or an
 *     underscore)
 * @param format their common format
 */
public record InputFiles(List<Path> roots, List<FileStatus> files, InputFormat format) {

  /**
   * Opening every file of a large corpus would take longer than the job; the first ones show what
   * is wrong with the rest.
   */
  private static final int FILES_TO_OPEN = 100;

  public InputFiles {
    roots = List.copyOf(roots);
    files = List.copyOf(files);
  }

  /** Finds and checks the files; empty if there are problems. */
  public static Optional<InputFiles> find(
      List<String> uris, InputFormat wanted, Configuration conf, Problems problems) {
    List<Path> roots = new ArrayList<>();
    List<FileStatus> files = new ArrayList<>();
    boolean readable = true;
    for (String uri : uris) {
      try {
        List<FileStatus> found = below(uri, conf, roots);
        if (found.isEmpty()) {
          problems.add("input", uri, "a file, folder or glob that holds at least one file");
          readable = false;
        }
        files.addAll(found);
      } catch (FileNotFoundException e) {
        problems.add("input", uri, "an existing file, folder or glob");
        readable = false;
      } catch (IOException | IllegalArgumentException e) {
        problems.add("input", uri, "something readable; " + words(e));
        readable = false;
      }
    }
    if (!readable || files.isEmpty()) {
      return Optional.empty();
    }
    Optional<InputFormat> format = wanted == null ? guess(files, problems) : Optional.of(wanted);
    // An image that cannot be read is one row; any other file is many.
    if (format.isEmpty() || (format.get() != InputFormat.image && !open(files, conf, problems))) {
      return Optional.empty();
    }
    return format.map(f -> new InputFiles(roots, files, f));
  }

  private static List<FileStatus> below(String uri, Configuration conf, List<Path> roots)
      throws IOException {
    Path pattern = new Path(uri);
    FileSystem fs = pattern.getFileSystem(conf);
    FileStatus[] matches = fs.globStatus(pattern);
    List<FileStatus> files = new ArrayList<>();
    for (FileStatus match : matches == null ? new FileStatus[0] : matches) {
      roots.add(match.getPath());
      if (match.isFile()) {
        files.add(match);
        continue;
      }
      RemoteIterator<LocatedFileStatus> all = fs.listFiles(match.getPath(), true);
      while (all.hasNext()) {
        FileStatus file = all.next();
        if (!hidden(file.getPath(), match.getPath())) {
          files.add(file);
        }
      }
    }
    return files;
  }

  private static boolean hidden(Path file, Path root) {
    for (Path part = file; part != null && !part.equals(root); part = part.getParent()) {
      if (part.getName().startsWith("_") || part.getName().startsWith(".")) {
        return true;
      }
    }
    return false;
  }

  private static boolean open(List<FileStatus> files, Configuration conf, Problems problems) {
    boolean readable = true;
    for (FileStatus file : files.subList(0, Math.min(files.size(), FILES_TO_OPEN))) {
      try {
        file.getPath().getFileSystem(conf).open(file.getPath()).close();
      } catch (IOException e) {
        problems.add("input", file.getPath(), "a readable file; " + words(e));
        readable = false;
      }
    }
    return readable;
  }

  private static Optional<InputFormat> guess(List<FileStatus> files, Problems problems) {
    Set<InputFormat> formats = EnumSet.noneOf(InputFormat.class);
    for (FileStatus file : files) {
      Optional<InputFormat> format = InputFormat.of(file.getPath().getName());
      if (format.isEmpty()) {
        problems.add("input", file.getPath(), "a known extension, or --input-format");
        return Optional.empty();
      }
      formats.add(format.get());
    }
    if (formats.size() > 1) {
      problems.add("input", "files of formats " + formats, "one format, or --input-format");
      return Optional.empty();
    }
    return formats.stream().findFirst();
  }

  private static String words(Exception e) {
    return e.getClass().getSimpleName() + ": " + e.getMessage();
  }
}
