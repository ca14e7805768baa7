package io.lakegen.model;

import io.lakegen.problem.Problem;
import java.io.Serializable;
import java.util.List;

/**
 * What was found on a node.
 *
 * @param facts for people, a line each
 * @param problems what would keep a job from running there, and what to do
 */
public record NodeReport(List<String> facts, List<Problem> problems) implements Serializable {
  public NodeReport {
    facts = List.copyOf(facts);
    problems = List.copyOf(problems);
  }
}
