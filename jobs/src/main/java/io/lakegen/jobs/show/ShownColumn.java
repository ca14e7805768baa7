package io.lakegen.jobs.show;

/**
 * A column of an output as people look at it.
 *
 * @param name of the column
 * @param kind how it is shown
 */
record ShownColumn(String name, Kind kind) {
  enum Kind {
    TEXT,
    NUMBER,
    BOOLEAN,
    /** An image file. */
    IMAGE,
    /** Several image files. */
    IMAGES,
    /** Path of an image file. */
    PATH,
    VECTOR,
    VECTORS,
    /** Several texts. */
    TEXTS,
    OTHER
  }

  boolean is(Kind other) {
    return kind == other;
  }
}
