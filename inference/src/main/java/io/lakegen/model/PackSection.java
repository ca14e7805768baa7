package io.lakegen.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.lakegen.problem.Problems;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.stream.StreamSupport;

/**
 * An object of {@code pack.json}, read key by key. A value that breaks its rule is a problem, and
 * something harmless takes its place, so that one reading finds everything that is wrong.
 */
public final class PackSection {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final String prefix;
  private final JsonNode node;
  private final Problems problems;

  /**
   * @param prefix how problems name the object: empty or ending in a dot
   */
  PackSection(String prefix, JsonNode node, Problems problems) {
    this.prefix = prefix;
    this.node = node;
    this.problems = problems;
  }

  /** Reports every key that is not among these. */
  public PackSection keys(String... known) {
    List<String> expected = Arrays.asList(known);
    for (String key : names()) {
      if (!expected.contains(key)) {
        problems.add(prefix + key, "unknown key", "one of " + expected);
      }
    }
    return this;
  }

  /** Its keys, in order. */
  Set<String> names() {
    Set<String> names = new LinkedHashSet<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  /** The keys of an object in it; none where there is no object. */
  Set<String> names(String key) {
    return new PackSection("", node.path(key), problems).names();
  }

  /** Whether the key is there. */
  public boolean has(String key) {
    return node.has(key);
  }

  /** An object that may be missing. */
  public Optional<PackSection> optional(String key) {
    return node.has(key) ? section(key) : Optional.empty();
  }

  /** An object; empty where the value is something else. */
  public Optional<PackSection> section(String key) {
    JsonNode value = node.path(key);
    if (!value.isObject()) {
      fail(key, value, "an object");
      return Optional.empty();
    }
    return Optional.of(new PackSection(prefix + key + ".", value, problems));
  }

  /** A list of objects, at least one; others are left out. */
  public List<PackSection> sections(String key) {
    JsonNode values = node.path(key);
    if (!values.isArray() || values.isEmpty() || !all(values, JsonNode::isObject)) {
      fail(key, values, "a list of objects");
      return List.of();
    }
    List<PackSection> sections = new ArrayList<>();
    for (JsonNode value : values) {
      String name = prefix + key + "[" + sections.size() + "].";
      sections.add(new PackSection(name, value, problems));
    }
    return sections;
  }

  /** An object of texts, at least one; those that break the rule are left out. */
  Map<String, String> texts(String key, Predicate<String> rule, String expected) {
    Map<String, String> values = new LinkedHashMap<>();
    for (PackSection section : section(key).stream().toList()) {
      section.names().forEach(name -> values.put(name, section.text(name, rule, expected)));
      if (values.isEmpty()) {
        problems.add(prefix + key, "{}", "at least one entry");
      }
    }
    values.values().removeIf(Objects::isNull);
    return values;
  }

  /** An object whose values are plain; nulls are left out. */
  public Map<String, Object> values(String key) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (PackSection section : section(key).stream().toList()) {
      for (Map.Entry<String, JsonNode> entry : section.node.properties()) {
        if (!entry.getValue().isNull()) {
          values.put(entry.getKey(), JSON.convertValue(entry.getValue(), Object.class));
        }
      }
    }
    return values;
  }

  /** A number for each channel of a picture. */
  List<Double> channels(String key) {
    JsonNode values = node.path(key);
    if (values.size() != 3 || !all(values, JsonNode::isNumber)) {
      fail(key, values, "three numbers");
      return List.of();
    }
    return StreamSupport.stream(values.spliterator(), false).map(JsonNode::asDouble).toList();
  }

  /** A list of texts, at least one. */
  public List<String> list(String key) {
    JsonNode values = node.path(key);
    if (!values.isArray() || values.isEmpty() || !all(values, JsonNode::isTextual)) {
      fail(key, values, "a list of texts");
      return List.of();
    }
    return StreamSupport.stream(values.spliterator(), false).map(JsonNode::asText).toList();
  }

  /** A token id that may be missing. */
  public OptionalInt tokenId(String key) {
    return node.has(key)
        ? OptionalInt.of(integer(key, 0, v -> v >= 0, "a token id"))
        : OptionalInt.empty();
  }

  List<Integer> tokenIds(String key) {
    JsonNode values = node.path(key);
    if (values.isMissingNode()) {
      return List.of();
    }
    if (!values.isArray() || !all(values, v -> v.canConvertToInt() && v.asInt() >= 0)) {
      fail(key, values, "a list of token ids");
      return List.of();
    }
    return StreamSupport.stream(values.spliterator(), false).map(JsonNode::asInt).toList();
  }

  private static boolean all(JsonNode values, Predicate<JsonNode> rule) {
    return StreamSupport.stream(values.spliterator(), false).allMatch(rule);
  }

  /** A whole number above 0. */
  public int positive(String key) {
    return integer(key, 1, v -> v > 0, "a whole number above 0");
  }

  int integer(String key, int otherwise, IntPredicate rule, String expected) {
    JsonNode value = node.path(key);
    if (!value.isIntegralNumber() || !value.canConvertToInt() || !rule.test(value.asInt())) {
      fail(key, value, expected);
      return otherwise;
    }
    return value.asInt();
  }

  /** A number above 0. */
  public double positiveNumber(String key) {
    JsonNode value = node.path(key);
    if (!value.isNumber() || value.asDouble() <= 0) {
      fail(key, value, "a number above 0");
      return 1;
    }
    return value.asDouble();
  }

  /** A number. */
  public double number(String key) {
    JsonNode value = node.path(key);
    if (!value.isNumber()) {
      fail(key, value, "a number");
    }
    return value.asDouble();
  }

  /** A number that may be missing. */
  public double number(String key, double otherwise) {
    JsonNode value = node.path(key);
    if (!value.isMissingNode() && !value.isNumber()) {
      fail(key, value, "a number");
    }
    return value.asDouble(otherwise);
  }

  /** True or false. */
  public boolean bool(String key) {
    JsonNode value = node.path(key);
    if (!value.isBoolean()) {
      fail(key, value, "true or false");
    }
    return value.asBoolean();
  }

  /** A text that is not empty; empty where there is none. */
  public String text(String key) {
    String text = text(key, t -> !t.isEmpty(), "a text");
    return text == null ? "" : text;
  }

  /** A text; null where there is none that keeps the rule. */
  String text(String key, Predicate<String> rule, String expected) {
    JsonNode value = node.path(key);
    if (value.isTextual() && rule.test(value.asText())) {
      return value.asText();
    }
    fail(key, value, expected);
    return null;
  }

  /** One of an enum's constants by name; the first where it is none of them. */
  public <E extends Enum<E>> E constant(String key, Class<E> type) {
    JsonNode value = node.path(key);
    E[] constants = type.getEnumConstants();
    return Arrays.stream(constants)
        .filter(c -> value.isTextual() && c.name().equals(value.asText()))
        .findFirst()
        .orElseGet(
            () -> {
              fail(key, value, "one of " + Arrays.toString(constants));
              return constants[0];
            });
  }

  /** A list of an enum's constants by name; empty where it is missing. */
  public <E extends Enum<E>> List<E> constants(String key, Class<E> type) {
    JsonNode values = node.path(key);
    List<String> names = Arrays.stream(type.getEnumConstants()).map(Enum::name).toList();
    if (values.isMissingNode()) {
      return List.of();
    }
    if (!values.isArray() || !all(values, v -> v.isTextual() && names.contains(v.asText()))) {
      fail(key, values, "a list of some of " + names);
      return List.of();
    }
    return StreamSupport.stream(values.spliterator(), false)
        .map(v -> Enum.valueOf(type, v.asText()))
        .toList();
  }

  /** Adds a problem with a value of several keys, or of what was made of it. */
  public void problem(String key, Object found, String expected) {
    problems.add(prefix + key, found, expected);
  }

  private void fail(String key, JsonNode value, String expected) {
    problems.add(prefix + key, value instanceof MissingNode ? "missing" : value, expected);
  }
}
