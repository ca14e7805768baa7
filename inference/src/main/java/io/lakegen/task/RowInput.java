package io.lakegen.task;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
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
   * @param values one a name, not copied: UTF-8 of texts and numbers, files of images, 32-bit
   *     numbers of vectors; null for a null
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

  /**
   * The numbers of an input of the kind {@link Argument.Kind#VECTOR}, whose bytes are 32-bit
   * floating-point numbers, the lowest byte first.
   *
   * @throws RowException if it is null, or any of the numbers is not finite
   */
  public float[] vector(String name) throws RowException {
    byte[] bytes = bytes(name);
    if (bytes == null) {
      throw RowException.prepare("null_vector", name + " is null (expected: an array of numbers)");
    }
    float[] values = new float[bytes.length / Float.BYTES];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw RowException.prepare(
            "bad_vector", name + "[" + i + "] is " + values[i] + " (expected: a finite number)");
      }
    }
    return values;
  }

  /**
   * The files of an input of the kind {@link Argument.Kind#IMAGES}, as {@link #join} lays them
   * down.
   *
   * @throws RowException if it is null or empty, or has a null
   */
  public List<byte[]> images(String name) throws RowException {
    byte[] bytes = bytes(name);
    if (bytes == null || bytes.length == 0) {
      throw RowException.prepare(
          "no_images",
          name + " is " + (bytes == null ? "null" : "empty") + " (expected: an array of images)");
    }
    List<byte[]> files = new ArrayList<>();
    ByteBuffer joined = ByteBuffer.wrap(bytes);
    while (joined.hasRemaining()) {
      int length = joined.getInt();
      if (length < 0) {
        throw RowException.prepare(
            "null_image", name + "[" + files.size() + "] is null (expected: an image file)");
      }
      byte[] file = new byte[length];
      joined.get(file);
      files.add(file);
    }
    return files;
  }

  /**
   * Several files as one input.
   *
   * @param files nulls among them stay nulls
   * @throws ArithmeticException if they are too large for an array
   */
  public static byte[] join(List<byte[]> files) {
    int length = 0;
    for (byte[] file : files) {
      length = Math.addExact(length, Math.addExact(Integer.BYTES, file == null ? 0 : file.length));
    }
    ByteBuffer joined = ByteBuffer.allocate(length);
    for (byte[] file : files) {
      joined.putInt(file == null ? -1 : file.length);
      joined.put(file == null ? new byte[0] : file);
    }
    return joined.array();
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
