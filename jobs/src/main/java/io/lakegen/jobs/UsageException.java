package io.lakegen.jobs;

import java.util.List;

/** Wrong use: everything that is wrong with a call, found before any work. */
final class UsageException extends Exception {
  private static final long serialVersionUID = 1L;

  UsageException(List<String> problems) {
    super(String.join(System.lineSeparator() + "  ", problems));
  }
}
