package io.lakegen.model;

import io.lakegen.problem.Problems;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Checks that a pack's files are what they seem, and that nothing outside its folder is read. */
final class PackFiles {
  private PackFiles() {}

  /**
   * Checks files of a pack on a local file system, before they are opened, for links that leave the
   * folder and for pipes and devices, which never end. Other file systems have neither. The folder
   * itself may be a link.
   *
   * @param problems get every file that must not be opened; missing files are no problem here
   */
  static void checkSource(
      org.apache.hadoop.fs.FileSystem fs,
      org.apache.hadoop.fs.Path source,
      Collection<String> names,
      Problems problems)
      throws IOException {
    java.net.URI uri = fs.makeQualified(source).toUri();
    if (!"file".equals(uri.getScheme())) {
      return;
    }
    Path folder = Path.of(uri.getPath());
    if (!Files.isDirectory(folder)) {
      return;
    }
    Path real = folder.toRealPath();
    for (String name : names) {
      Path file = real.resolve(name);
      try {
        Path target = file.toRealPath();
        if (!target.startsWith(real)) {
          problems.add(name, "a link to " + target, "a file inside the pack's folder");
        } else if (!Files.isRegularFile(target)) {
          problems.add(name, "no regular file", "a file inside the pack's folder");
        }
      } catch (FileSystemException e) {
        // A file that is missing is told of by whoever opens it.
        if (!(e instanceof NoSuchFileException)) {
          problems.add(name, String.valueOf(e.getReason()), "a file inside the pack's folder");
        }
      }
    }
  }

  /**
   * Checks which files the graphs in a folder name: ONNX graphs may have weights in other files,
   * which must be files of the pack, as only those have a checksum.
   */
  static void checkGraphs(Path folder, PackSpec spec, Problems problems) throws IOException {
    if (spec.engine() != PackSpec.EngineName.OnnxRuntime) {
      return;
    }
    for (Map.Entry<String, String> graph : new TreeMap<>(spec.graphs()).entrySet()) {
      String key = "graphs." + graph.getKey();
      String name = graph.getValue();
      if (name.toLowerCase(Locale.ROOT).endsWith(".ort")) {
        // ONNX Runtime goes by the name; that format has references to other files too.
        problems.add(key, name, "a graph in ONNX format");
        continue;
      }
      try {
        for (String location : OnnxFile.externalData(folder.resolve(name))) {
          if (!spec.sha256().containsKey(location)) {
            problems.add(
                key,
                name + " has external data in '" + location + "'",
                "external data in a file listed under sha256 only");
          }
        }
      } catch (OnnxFile.MalformedException e) {
        problems.add(key, name + ": " + e.getMessage(), "an ONNX model");
      }
    }
  }

  /**
   * What the file system says of every file of a pack. As long as it says the same, nobody has
   * written to a file or put another one in its place.
   *
   * @return stamps by file name; a file that is missing or no regular file has one that none equals
   */
  static Map<String, String> stamps(Path folder, PackSpec spec) throws IOException {
    Map<String, String> stamps = new TreeMap<>();
    for (String name : spec.sha256().keySet()) {
      stamps.put(name, stamp(folder.resolve(name)));
    }
    return stamps;
  }

  private static String stamp(Path file) throws IOException {
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      return "missing";
    }
    String attributes =
        file.getFileSystem().supportedFileAttributeViews().contains("unix")
            ? "unix:size,lastModifiedTime,ctime,ino"
            : "size,lastModifiedTime,fileKey";
    try {
      return new TreeMap<>(Files.readAttributes(file, attributes, LinkOption.NOFOLLOW_LINKS))
          .toString();
    } catch (NoSuchFileException e) {
      return "missing";
    }
  }
}
