package io.lakegen.jobs.input;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What earlier chunks have done of the input. It knows files by a digest of their path and version:
 * a hundred bytes of memory a file, whatever its path's length.
 */
public final class Coverage {
  private static final long[] WHOLE = {0, Long.MAX_VALUE};

  /** Starts and ends of the ranges that are done, in their order, without overlap. */
  private final Map<FileKey, long[]> done = new HashMap<>();

  private final MessageDigest digest = sha256();

  private record FileKey(long high, long low) {}

  /** Adds a range that is done. */
  public void add(Address address) {
    long[] range = address.isWhole() ? WHOLE : new long[] {address.start(), address.end()};
    done.merge(key(address), range, Coverage::union);
  }

  private static long[] union(long[] a, long[] b) {
    if (a == WHOLE || b == WHOLE) {
      return WHOLE;
    }
    List<long[]> ranges = new ArrayList<>();
    for (long[] each : List.of(a, b)) {
      for (int i = 0; i < each.length; i += 2) {
        ranges.add(new long[] {each[i], each[i + 1]});
      }
    }
    ranges.sort((x, y) -> Long.compare(x[0], y[0]));
    List<long[]> merged = new ArrayList<>();
    for (long[] range : ranges) {
      long[] last = merged.isEmpty() ? null : merged.get(merged.size() - 1);
      if (last != null && range[0] <= last[1]) {
        last[1] = Math.max(last[1], range[1]);
      } else {
        merged.add(range);
      }
    }
    return merged.stream().flatMapToLong(java.util.Arrays::stream).toArray();
  }

  /** What is left of a whole file, in order. */
  List<Address> left(Address file) {
    long[] ranges = done.isEmpty() ? null : done.get(key(file));
    if (ranges == null) {
      return List.of(file);
    }
    List<Address> left = new ArrayList<>();
    long from = 0;
    for (int i = 0; i < ranges.length && from < file.length(); i += 2) {
      if (ranges[i] > from) {
        left.add(file.range(from, ranges[i]));
      }
      from = Math.max(from, ranges[i + 1]);
    }
    if (from < file.length()) {
      left.add(file.range(from, file.length()));
    }
    return left;
  }

  private FileKey key(Address address) {
    digest.update(address.path().getBytes(StandardCharsets.UTF_8));
    digest.update((byte) 0);
    digest.update(address.version().getBytes(StandardCharsets.UTF_8));
    digest.update(ByteBuffer.allocate(Long.BYTES).putLong(0, address.length()));
    ByteBuffer bytes = ByteBuffer.wrap(digest.digest());
    return new FileKey(bytes.getLong(), bytes.getLong());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
