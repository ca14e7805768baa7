package io.lakegen.model;

import java.nio.file.Path;
import java.util.Objects;

/**
 * A verified copy of a model pack on this node.
 *
 * @param folder local folder; every file in it had the digest that {@code pack.json} names when it
 *     was fetched
 * @param spec the parsed {@code pack.json}
 * @param sha256 digest of {@code pack.json}, which holds the digests of all other files and so
 *     names the whole pack
 */
public record ModelPack(Path folder, PackSpec spec, String sha256) {
  public ModelPack {
    Objects.requireNonNull(folder, "folder");
    Objects.requireNonNull(spec, "spec");
    Objects.requireNonNull(sha256, "sha256");
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
