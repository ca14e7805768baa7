package io.lakegen.model;

import io.lakegen.problem.Problem;
import java.util.List;
import java.util.stream.Collectors;

/** A model pack that must not be used. Carries every problem found. */
public final class InvalidPackException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient List<Problem> problems;

  InvalidPackException(String pack, List<Problem> problems) {
    super(
        "model pack "
            + pack
            + ": "
            + problems.stream().map(Problem::toString).collect(Collectors.joining("; ")));
    this.problems = List.copyOf(problems);
  }

  InvalidPackException(String pack, Problem problem) {
    this(pack, List.of(problem));
  }

  /** Every problem found, without the name of the pack. */
  public List<Problem> problems() {
    return problems;
  }
}
