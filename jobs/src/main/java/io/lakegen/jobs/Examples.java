package io.lakegen.jobs;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.spark.PromptTemplate;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Few-shot examples: what a template's columns hold and what should follow. */
final class Examples {
  private static final String OUTPUT = "output";

  private Examples() {}

  /**
   * Reads JSON lines.
   *
   * @param columns the template's columns; every line has a value for each, and {@code output}
   */
  static List<Map<String, String>> read(String uri, List<String> columns, Problems problems) {
    String content;
    try {
      Path path = new Path(uri);
      try (InputStream in = path.getFileSystem(new Configuration()).open(path)) {
        content = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      }
    } catch (IOException | IllegalArgumentException e) {
      problems.add("examples", uri, "a readable file; " + e.getMessage());
      return List.of();
    }
    List<String> keys = new ArrayList<>(new TreeSet<>(columns));
    keys.add(OUTPUT);
    List<Map<String, String>> examples = new ArrayList<>();
    int number = 0;
    for (String line : content.lines().toList()) {
      number++;
      if (!line.isBlank()) {
        example(uri + " line " + number, line, keys, problems, examples);
      }
    }
    if (examples.isEmpty() && problems.isEmpty()) {
      problems.add("examples", uri + " is empty", "at least one line of JSON");
    }
    return examples;
  }

  private static void example(
      String where,
      String line,
      List<String> keys,
      Problems problems,
      List<Map<String, String>> examples) {
    try {
      JsonNode json = new ObjectMapper().readTree(line);
      Map<String, String> example = new LinkedHashMap<>();
      for (String key : keys) {
        if (json.path(key).isValueNode() && !json.path(key).isNull()) {
          example.put(key, json.path(key).asText());
        } else {
          problems.add("examples: " + where, line.strip(), "a value for each of " + keys);
          return;
        }
      }
      examples.add(example);
    } catch (JsonProcessingException e) {
      problems.add("examples: " + where, line.strip(), "a JSON object");
    }
  }

  /**
   * The examples as they stand before a prompt: each in the template, followed by its output and an
   * empty line; a space goes before the output where the template does not end in white space.
   */
  static String render(PromptTemplate template, List<Map<String, String>> examples) {
    StringBuilder text = new StringBuilder();
    for (Map<String, String> example : examples) {
      text.append(template.fill(template.columns().stream().map(example::get).toList()));
      if (!Character.isWhitespace(text.charAt(text.length() - 1))) {
        text.append(' ');
      }
      text.append(example.get(OUTPUT)).append("\n\n");
    }
    return text.toString();
  }
}
