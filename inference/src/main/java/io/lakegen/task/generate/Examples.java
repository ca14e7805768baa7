package io.lakegen.task.generate;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.problem.Problems;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/** Few-shot examples: what a template's columns hold and what should follow. */
final class Examples {
  private static final String OUTPUT = "output";

  private Examples() {}

  /**
   * The examples as they stand before a prompt: each in the template, followed by its output and an
   * empty line; a space goes before the output where the template does not end in white space.
   *
   * @param lines JSON lines; each has a value for every column of the template and for {@code
   *     output}
   * @param problems get every line that has not
   */
  static String render(PromptTemplate template, String lines, Problems problems) {
    List<String> keys = new ArrayList<>(new TreeSet<>(template.columns()));
    keys.add(OUTPUT);
    StringBuilder text = new StringBuilder();
    int number = 0;
    for (String line : lines.lines().toList()) {
      number++;
      if (!line.isBlank()) {
        String where = "examples: line " + number;
        try {
          JsonNode example = new ObjectMapper().readTree(line);
          if (keys.stream().allMatch(k -> isValue(example.path(k)))) {
            render(template, example, text);
          } else {
            problems.add(where, line.strip(), "a value for each of " + keys);
          }
        } catch (JsonProcessingException e) {
          problems.add(where, line.strip(), "a JSON object");
        }
      }
    }
    if (lines.isBlank()) {
      problems.add("examples", "an empty file", "at least one line of JSON");
    }
    return text.toString();
  }

  private static boolean isValue(JsonNode node) {
    return node.isValueNode() && !node.isNull();
  }

  private static void render(PromptTemplate template, JsonNode example, StringBuilder text) {
    text.append(
        template.fill(template.columns().stream().map(c -> example.path(c).asText()).toList()));
    if (!Character.isWhitespace(text.charAt(text.length() - 1))) {
      text.append(' ');
    }
    text.append(example.path(OUTPUT).asText()).append("\n\n");
  }
}
