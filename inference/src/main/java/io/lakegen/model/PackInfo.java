package io.lakegen.model;

import java.util.Map;
import java.util.TreeMap;

/**
 * What a pack says of itself, read without fetching it.
 *
 * @param spec its parsed {@code pack.json}
 * @param sha256 digest of {@code pack.json}, which names the whole pack
 * @param bytes lengths of its files, {@code pack.json} included; -1 for one that is missing
 */
public record PackInfo(PackSpec spec, String sha256, Map<String, Long> bytes) {
  public PackInfo {
    bytes = new TreeMap<>(bytes);
  }

  /** Length of all files that are there. */
  public long totalBytes() {
    return bytes.values().stream().mapToLong(b -> Math.max(0, b)).sum();
  }
}
