package io.lakegen.task;

/**
 * A column that a task adds. Null in rows without a result.
 *
 * @param name of the column
 * @param type of its values
 * @param description what it holds, with its unit
 */
public record Result(String name, Type type, String description) {

  /** Types of results, and the Java types of their values. */
  public enum Type {
    /** {@code String}. */
    TEXT,
    /** {@code Integer}. */
    INT,
    /** {@code Long}. */
    LONG,
    /** {@code Float}. */
    FLOAT,
    /** {@code Double}. */
    DOUBLE,
    /** {@code Boolean}. */
    BOOLEAN,
    /** An image file: {@code byte[]}. */
    IMAGE,
    /** {@code float[]}. */
    VECTOR,
    /** {@code int[]}. */
    INTS,
    /** {@code Map<String, Float>}, in the order of its entries. */
    SCORES,
    /** {@code List<String>}. */
    TEXTS,
    /** {@code List<float[]>}. */
    VECTORS,
    /** Image files: {@code List<byte[]>}. */
    IMAGES,
    /**
     * Numbers the output rows of one input row from 0; there is one such column at most, and the
     * task gives no value for it.
     */
    INDEX
  }
}
