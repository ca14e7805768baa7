package io.lakegen.jobs.input;

import io.lakegen.problem.Problems;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
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
 * The files behind the {@code --input} options, and what is left to do of them.
 *
 * @param roots what was asked for, globs resolved
 * @param base what relative paths in the rows are relative to
 * @param left every file below the roots but hidden ones (a name that starts with a dot or an
 *     underscore), without what earlier chunks have done; ordered by root and path
 * @param format their common format
 * @param count how many files there are, those that are done included
 */
public record InputFiles(
    List<Path> roots, Path base, List<Address> left, InputFormat format, long count) {

  /**
   * Opening every file of a large corpus would take longer than the job; the first ones show what
   * is wrong with the rest.
   */
  private static final int FILES_TO_OPEN = 100;

  public InputFiles {
    roots = List.copyOf(roots);
    left = List.copyOf(left);
  }

  /**
   * Finds and checks the files; empty if there are problems. Files that are done are dropped as
   * they are listed: nothing opens or remembers them.
   *
   * @param wanted the format, or null to tell it from the files' names
   */
  public static Optional<InputFiles> find(
      List<String> uris, InputFormat wanted, Coverage done, Configuration conf, Problems problems) {
    Listing listing = new Listing(done, wanted == null);
    boolean readable = true;
    for (String uri : uris) {
      try {
        if (!listing.add(uri, conf)) {
          problems.add("input", uri, "a file, folder or glob that holds at least one file");
          readable = false;
        }
      } catch (FileNotFoundException e) {
        problems.add("input", uri, "an existing file, folder or glob");
        readable = false;
      } catch (IOException | IllegalArgumentException e) {
        problems.add("input", uri, "something readable; " + words(e));
        readable = false;
      }
    }
    if (!readable || listing.count == 0) {
      return Optional.empty();
    }
    Optional<InputFormat> format = wanted == null ? listing.format(problems) : Optional.of(wanted);
    // An image that cannot be read is one row; any other file is many.
    if (format.isEmpty()
        || (format.get() != InputFormat.image && !open(listing.left, conf, problems))) {
      return Optional.empty();
    }
    return format.map(
        f -> new InputFiles(listing.roots, listing.base, listing.left, f, listing.count));
  }

  /** Collects files, one URI after the other. */
  private static final class Listing {
    final List<Path> roots = new ArrayList<>();
    final List<Address> left = new ArrayList<>();
    private final Coverage done;
    private final boolean guess;
    private final Set<InputFormat> formats = EnumSet.noneOf(InputFormat.class);
    private String strange;
    private Path base;
    private long count;

    Listing(Coverage done, boolean guess) {
      this.done = done;
      this.guess = guess;
    }

    /** Adds the files of a URI; false if there are none. */
    boolean add(String uri, Configuration conf) throws IOException {
      Path pattern = new Path(uri);
      FileSystem fs = pattern.getFileSystem(conf);
      FileStatus[] matches = fs.globStatus(pattern);
      long before = count;
      int first = left.size();
      for (FileStatus match : matches == null ? new FileStatus[0] : matches) {
        roots.add(match.getPath());
        if (base == null) {
          base = match.isFile() ? match.getPath().getParent() : match.getPath();
        }
        if (match.isFile()) {
          add(match);
          continue;
        }
        RemoteIterator<LocatedFileStatus> all = fs.listFiles(match.getPath(), true);
        while (all.hasNext()) {
          FileStatus file = all.next();
          if (!hidden(file.getPath(), match.getPath())) {
            add(file);
          }
        }
      }
      // Local folders list their files in no order, and runs should take the same way.
      left.subList(first, left.size())
          .sort(Comparator.comparing(Address::path).thenComparingLong(Address::start));
      return count > before;
    }

    private void add(FileStatus file) {
      count++;
      if (guess && strange == null) {
        InputFormat.of(file.getPath().getName())
            .ifPresentOrElse(formats::add, () -> strange = file.getPath().toString());
      }
      left.addAll(done.left(Address.of(file)));
    }

    Optional<InputFormat> format(Problems problems) {
      if (strange != null) {
        problems.add("input", strange, "a known extension, or --input-format");
        return Optional.empty();
      }
      if (formats.size() > 1) {
        problems.add("input", "files of formats " + formats, "one format, or --input-format");
        return Optional.empty();
      }
      return formats.stream().findFirst();
    }
  }

  private static boolean hidden(Path file, Path root) {
    for (Path part = file; part != null && !part.equals(root); part = part.getParent()) {
      if (part.getName().startsWith("_") || part.getName().startsWith(".")) {
        return true;
      }
    }
    return false;
  }

  private static boolean open(List<Address> files, Configuration conf, Problems problems) {
    boolean readable = true;
    for (Address file : files.subList(0, Math.min(files.size(), FILES_TO_OPEN))) {
      try {
        Path path = new Path(file.path());
        path.getFileSystem(conf).open(path).close();
      } catch (IOException e) {
        problems.add("input", file.path(), "a readable file; " + words(e));
        readable = false;
      }
    }
    return readable;
  }

  private static String words(Exception e) {
    return e.getClass().getSimpleName() + ": " + e.getMessage();
  }
}
