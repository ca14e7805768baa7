package io.lakegen.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/**
 * A text with placeholders, column names in braces; a doubled brace stands for the brace itself.
 *
 * @param literals the texts before, between and after the placeholders: one more than columns
 * @param columns the placeholders' names, in their order
 */
public record PromptTemplate(List<String> literals, List<String> columns) implements Serializable {
  public PromptTemplate {
    literals = List.copyOf(literals);
    columns = List.copyOf(columns);
    if (literals.size() != columns.size() + 1) {
      throw new IllegalArgumentException("a literal before and after each placeholder is expected");
    }
  }

  /** The template that is one column and nothing else. */
  public static PromptTemplate ofColumn(String column) {
    return new PromptTemplate(List.of("", ""), List.of(column));
  }

  /**
   * Reads a template.
   *
   * @throws IllegalArgumentException if a brace has no partner, or there is no placeholder
   */
  public static PromptTemplate parse(String text) {
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
          throw new IllegalArgumentException(
              "'"
                  + c
                  + "' at "
                  + i
                  + " (expected: {column}, or "
                  + c
                  + c
                  + " for the brace itself)");
        }
        literals.add(literal.toString());
        literal.setLength(0);
        columns.add(text.substring(i + 1, end));
        i = end;
      }
    }
    if (columns.isEmpty()) {
      throw new IllegalArgumentException(
          "no placeholder (expected: at least one, such as {prompt}, or all prompts are the same)");
    }
    literals.add(literal.toString());
    return new PromptTemplate(literals, columns);
  }

  /** The template with values in the places of {@link #columns}. */
  public String fill(List<String> values) {
    StringBuilder text = new StringBuilder(literals.get(0));
    for (int i = 0; i < columns.size(); i++) {
      text.append(values.get(i)).append(literals.get(i + 1));
    }
    return text.toString();
  }
}
