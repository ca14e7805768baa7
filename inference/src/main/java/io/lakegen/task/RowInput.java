package io.lakegen.task;

import java.util.List;

/**
 * What a task reads of one input row: the bytes of its inputs by name, and the row's seed; or the
 * error that kept the row from being read.
 */
public final class RowInput {
  /**
   * No row, but a place between rows: it passes through in its turn with an error, and is counted
   * neither as a row nor as a failed one.
   */
  public static final RowInput PLACE =
      unreadable(new RowError("read", "place", "no row, but a place between rows"));

  private final List<String> names;
  private final byte[][] values;
  private final long seed;
  private final RowError error;

  private RowInput(List<String> names, byte[][] values, long seed, RowError error) {
    this.names = names;
    this.values = values;
    this.seed = seed;
    this.error = error;
  }

  /**
   * A row that could be read.
   *
   * @param names of the inputs, see {@link Input#name}
   * @param values one a name, not copied: UTF-8 of texts and numbers, files of images; null for a
   *     null
   * @param seed the row's own, the same wherever and whenever the row is processed
   */
  public static RowInput of(List<String> names, byte[][] values, long seed) {
    if (names.size() != values.length) {
      throw new IllegalArgumentException(
          "values: " + values.length + " (expected: " + names.size() + ", one a name)");
    }
    return new RowInput(names, values, seed, null);
  }

  /** A row that could not be read. */
  public static RowInput unreadable(RowError error) {
    return new RowInput(List.of(), new byte[0][], 0, error);
  }

  /** Whether the row has an input of this name, null or not. */
  public boolean has(String name) {
    return names.contains(name);
  }

  /** The bytes of an input; null if the row has a null there, or no such input. */
  public byte[] bytes(String name) {
    int place = names.indexOf(name);
    return place < 0 ? null : values[place];
  }

  /**
   * The text of an input.
   *
   * @throws RowException if it is null, empty, blank or not UTF-8
   */
  public String text(String name) throws RowException {
    return Utf8Text.decode(bytes(name));
  }

  /** The row's own seed. */
  public long seed() {
    return seed;
  }

  /** Why the row could not be read; null if it was. */
  public RowError error() {
    return error;
  }

  /** Bytes of all inputs. */
  public long length() {
    long sum = 0;
    for (byte[] value : values) {
      sum += value == null ? 0 : value.length;
    }
    return sum;
  }
}
