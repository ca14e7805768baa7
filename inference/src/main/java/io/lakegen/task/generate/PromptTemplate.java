package io.lakegen.task.generate;

import io.lakegen.problem.Problems;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A text with placeholders, column names in braces; a doubled brace stands for the brace itself.
 *
 * @param literals the texts before, between and after the placeholders: one more than columns
 * @param columns the placeholders' names, in their order
 */
record PromptTemplate(List<String> literals, List<String> columns) {
  PromptTemplate {
    literals = List.copyOf(literals);
    columns = List.copyOf(columns);
    if (literals.size() != columns.size() + 1) {
      throw new IllegalArgumentException("a literal before and after each placeholder is expected");
    }
  }

  /** The template that is one column and nothing else. */
  static PromptTemplate ofColumn(String column) {
    return new PromptTemplate(List.of("", ""), List.of(column));
  }

  /**
   * Reads a template.
   *
   * @param key how problems name it
   * @param problems get a brace that has no partner, or a text without placeholder
   * @return empty if there are any
   */
  static Optional<PromptTemplate> parse(String key, String text, Problems problems) {
    List<String> literals = new ArrayList<>();
    List<String> columns = new ArrayList<>();
    StringBuilder literal = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean doubled = i + 1 < text.length() && text.charAt(i + 1) == c;
      if (c != '{' && c != '}') {
        literal.append(c);
      } else if (doubled) {
        literal.append(c);
        i++;
      } else {
        int end = c == '{' ? text.indexOf('}', i) : -1;
        if (end <= i + 1) {
          problems.add(
              key, "'" + c + "' at " + i, "{column}, or " + c + c + " for the brace itself");
          return Optional.empty();
        }
        literals.add(literal.toString());
        literal.setLength(0);
        columns.add(text.substring(i + 1, end));
        i = end;
      }
    }
    if (columns.isEmpty()) {
      problems.add(
          key, "no placeholder", "at least one, such as {prompt}, or all prompts are the same");
      return Optional.empty();
    }
    literals.add(literal.toString());
    return Optional.of(new PromptTemplate(literals, columns));
  }

  /** The template with values in the places of {@link #columns}. */
  String fill(List<String> values) {
    StringBuilder text = new StringBuilder(literals.get(0));
    for (int i = 0; i < columns.size(); i++) {
      text.append(values.get(i)).append(literals.get(i + 1));
    }
    return text.toString();
  }
}
