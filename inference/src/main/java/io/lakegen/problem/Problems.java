package io.lakegen.problem;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.apache.commons.text.similarity.LevenshteinDistance;

/**
 * Gathers every mistake of a call, so that its user reads them all at once. A check adds what it
 * finds and goes on. Not thread-safe.
 */
public final class Problems {
  private final List<Problem> found = new ArrayList<>();

  /** Adds a value that breaks a rule. */
  public void add(String key, Object value, String expected) {
    found.add(new Problem(key, String.valueOf(value), expected));
  }

  /** Adds problems of a part, whose name goes before their keys. */
  public void addAll(String part, Collection<Problem> problems) {
    problems.forEach(p -> found.add(new Problem(part + ": " + p.key(), p.found(), p.expected())));
  }

  /** True if nothing is wrong so far. */
  public boolean isEmpty() {
    return found.isEmpty();
  }

  /** What was found so far, in order. */
  public List<Problem> list() {
    return List.copyOf(found);
  }

  /**
   * Ends a check.
   *
   * @throws InvalidArgumentsException with every problem, if there are any
   */
  public void throwIfAny() {
    if (!found.isEmpty()) {
      throw new InvalidArgumentsException(found);
    }
  }

  /** "; did you mean x?" where a known name is close, else nothing. */
  public static String suggestion(String unknown, Collection<String> known) {
    LevenshteinDistance distance = LevenshteinDistance.getDefaultInstance();
    return known.stream()
        .filter(k -> distance.apply(unknown, k) <= Math.max(2, unknown.length() / 3))
        .min(Comparator.comparing(k -> distance.apply(unknown, k)))
        .map(k -> "; did you mean " + k + "?")
        .orElse("");
  }
}
