package io.lakegen.model;

import java.util.List;

/**
 * A model pack that must not be used. Carries every problem found, each as {@code key: value
 * (expected: rule)}.
 */
public final class InvalidPackException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final List<String> problems;

  InvalidPackException(String pack, List<String> problems) {
    super("model pack " + pack + ": " + String.join("; ", problems));
    this.problems = List.copyOf(problems);
  }

  InvalidPackException(String pack, String problem) {
    this(pack, List.of(problem));
  }

  /** Every problem found, without the name of the pack. */
  public List<String> problems() {
    return problems;
  }
}
