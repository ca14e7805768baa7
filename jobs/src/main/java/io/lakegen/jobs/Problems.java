package io.lakegen.jobs;

import java.util.ArrayList;
import java.util.List;

/** Gathers every mistake of a call, so that the user reads them all at once. */
final class Problems {
  private final List<String> messages = new ArrayList<>();

  /** A value that breaks a rule, and what would be right. */
  void add(String key, Object value, String expected) {
    messages.add(key + ": " + value + " (expected: " + expected + ")");
  }

  void add(String message) {
    messages.add(message);
  }

  boolean isEmpty() {
    return messages.isEmpty();
  }

  List<String> messages() {
    return List.copyOf(messages);
  }
}
