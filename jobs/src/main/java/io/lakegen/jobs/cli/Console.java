package io.lakegen.jobs.cli;

/** The terminal that the launcher says there is. */
final class Console {
  private static final int COLUMNS = 100;

  private Console() {}

  /** Columns of the terminal, or as many as are easy to read. */
  static int columns() {
    return Integer.getInteger("lakegen.columns", COLUMNS);
  }
}
