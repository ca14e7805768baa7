package io.lakegen.problem;

import java.io.Serializable;
import java.util.Objects;

/**
 * One mistake.
 *
 * @param key what has it: an option, a column, a key of a file
 * @param found the value, or what is wrong with it
 * @param expected the rule, and what to do next where that is not plain
 */
public record Problem(String key, String found, String expected) implements Serializable {
  public Problem {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(found, "found");
    Objects.requireNonNull(expected, "expected");
  }

  @Override
  public String toString() {
    return key + ": " + found + " (expected: " + expected + ")";
  }
}
