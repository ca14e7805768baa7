package io.lakegen.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;

/**
 * A verified copy of a model pack on this node.
 *
 * @param folder local folder; every file in it had the digest that {@code pack.json} names when it
 *     was fetched
 * @param spec the parsed {@code pack.json}
 * @param sha256 digest of {@code pack.json}, which holds the digests of all other files and so
 *     names the whole pack
 * @param stamps what tells whether a file was changed since its digest was checked
 */
public record ModelPack(Path folder, PackSpec spec, String sha256, Map<String, String> stamps) {
  public ModelPack {
    Objects.requireNonNull(folder, "folder");
    Objects.requireNonNull(spec, "spec");
    Objects.requireNonNull(sha256, "sha256");
    stamps = Map.copyOf(stamps);
  }

  /**
   * Makes sure that the files are still those whose digests were checked.
   *
   * @throws IOException if one was written to, replaced or removed; fetching the pack again repairs
   *     the copy
   */
  void requireUnchanged() throws IOException {
    for (Map.Entry<String, String> stamp : PackFiles.stamps(folder, spec).entrySet()) {
      if (!stamp.getValue().equals(stamps.get(stamp.getKey()))) {
        throw new IOException(
            folder.resolve(stamp.getKey())
                + ": changed since its digest was checked (expected: a cache that only Lakegen"
                + " writes to)");
      }
    }
  }

  /** Weights of all graphs, by the size of their files. */
  public long parameters() throws IOException {
    long bytes = 0;
    for (String name : spec.graphs().values()) {
      bytes += Files.size(file(name));
    }
    return switch (spec.dtype()) {
      // Files hold packed weights in float32.
      case float32, float16_weights -> bytes / Float.BYTES;
      case bfloat16, float16 -> bytes / Short.BYTES;
      case int8 -> bytes;
    };
  }

  /** Path of a file that the pack lists. */
  public Path file(String name) {
    if (!spec.sha256().containsKey(name)) {
      throw new IllegalArgumentException(
          "file: " + name + " (expected: one of " + spec.sha256().keySet() + ")");
    }
    return folder.resolve(name);
  }
}
