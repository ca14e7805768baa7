package io.lakegen.jobs.input;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** Formats a job can read. */
public enum InputFormat {
  text,
  jsonl,
  csv,
  parquet,
  image,
  /** WebDataset shards: samples of files that have one name. */
  tar;

  /** Codecs that Hadoop opens by a file's last extension. */
  private static final Set<String> COMPRESSIONS =
      Set.of("gz", "bz2", "zst", "lz4", "snappy", "deflate");

  /** Whether a file can be read from anywhere in it. */
  boolean isSplittable(String path) {
    int dot = path.lastIndexOf('.');
    boolean compressed =
        dot >= 0 && COMPRESSIONS.contains(path.substring(dot + 1).toLowerCase(Locale.ROOT));
    // A quoted line break of CSV looks like the end of a row to who starts in the middle.
    return this == parquet || ((this == text || this == jsonl) && !compressed);
  }

  /** How much work a range is, in bytes; a picture is a picture whatever its size. */
  long weight(Address range) {
    return this == image ? 1 : range.size();
  }

  /** The format that a file's name tells, looking through a compression's extension. */
  static Optional<InputFormat> of(String fileName) {
    List<String> parts = Arrays.asList(fileName.toLowerCase(Locale.ROOT).split("\\.", -1));
    int last = parts.size() - 1;
    if (last > 1 && COMPRESSIONS.contains(parts.get(last))) {
      last--;
    }
    return switch (last > 0 ? parts.get(last) : "") {
      case "txt", "text" -> Optional.of(text);
      case "jsonl", "ndjson", "json" -> Optional.of(jsonl);
      case "csv" -> Optional.of(csv);
      case "parquet" -> Optional.of(parquet);
      case "jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "webp", "tif", "tiff" ->
          Optional.of(image);
      case "tar", "tgz" -> Optional.of(tar);
      default -> Optional.empty();
    };
  }
}
