package io.lakegen.task;

/** A row that cannot be processed, thrown while it is read or prepared. */
public final class RowException extends Exception {
  private static final long serialVersionUID = 1L;

  private final transient RowError error;

  /** See {@link RowError} for the parts. */
  public RowException(String stage, String type, String message) {
    super(message);
    this.error = new RowError(stage, type, message);
  }

  /** A row rejected by {@link Task#prepare}. */
  public static RowException prepare(String type, String message) {
    return new RowException("prepare", type, message);
  }

  /** The row's error. */
  public RowError error() {
    return error;
  }
}
