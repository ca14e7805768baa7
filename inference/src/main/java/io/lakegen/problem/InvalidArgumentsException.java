package io.lakegen.problem;

import java.util.List;
import java.util.stream.Collectors;

/** Arguments that cannot be worked with; carries every problem found, and no work was done. */
public final class InvalidArgumentsException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  private final transient List<Problem> problems;

  /** An exception whose message has a line for each problem. */
  public InvalidArgumentsException(List<Problem> problems) {
    super(problems.stream().map(Problem::toString).collect(Collectors.joining("\n")));
    this.problems = List.copyOf(problems);
  }

  /** Every problem found. */
  public List<Problem> problems() {
    return problems;
  }
}
