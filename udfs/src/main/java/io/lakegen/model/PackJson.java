package io.lakegen.model;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
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
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.stream.StreamSupport;

/** Reads {@code pack.json}; every departure from the format is reported, not just the first. */
final class PackJson {
  static final String FILE = "pack.json";

  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
  private static final Set<String> TASKS =
      new TreeSet<>(
          Set.of(
              "feature-extraction",
              "text-generation",
              "text2text-generation",
              "image-to-text",
              "text-to-image"));

  private final List<String> problems = new ArrayList<>();

  /** The object that is being read, as messages name it: empty or ending in a dot. */
  private String prefix = "";

  private PackJson() {}

  /**
   * Parses and checks the content of {@code pack.json}.
   *
   * @param name how messages name the pack
   * @throws InvalidPackException with every problem found
   */
  static PackSpec parse(String name, byte[] content) {
    JsonNode root;
    try {
      root = JSON.readTree(content);
    } catch (JsonProcessingException e) {
      throw new InvalidPackException(
          name, FILE + ": " + e.getOriginalMessage() + " (expected: JSON)");
    } catch (IOException e) {
      throw new InvalidPackException(name, FILE + " cannot be read: " + e.getMessage());
    }
    PackJson reader = new PackJson();
    PackSpec spec = root.isObject() ? reader.spec(root) : null;
    if (!root.isObject()) {
      reader.fail(FILE, root, "a JSON object");
    }
    if (!reader.problems.isEmpty()) {
      throw new InvalidPackException(name, reader.problems);
    }
    return spec;
  }

  private PackSpec spec(JsonNode root) {
    if (integer(root, "format", 0, v -> v == 1, "1") != 1) {
      return null;
    }
    keys(
        root,
        "format task family engine dtype graphs sha256 tokenizer image cache generation pooling normalize dimension"
            + " scheduler latents source");
    String task = text(root, "task", TASKS::contains, "one of " + TASKS);
    Map<String, String> sha256 =
        strings(root, "sha256", v -> v.matches("[0-9a-f]{64}"), "64 lower-case hex digits");
    Set<String> files = names(root.path("sha256"));
    files.forEach(this::fileName);
    Map<String, String> graphs = strings(root, "graphs", v -> true, "a file name");
    graphs.forEach((role, file) -> listed("graphs." + role, file, files));
    Optional<PackSpec.Tokenizer> tokenizer = optional(root, "tokenizer", this::tokenizer);
    tokenizer.ifPresent(t -> listed("tokenizer.file", t.file(), files));
    listed("golden.json", GoldenCheck.FILE, files);
    Optional<PackSpec.Embedding> embedding =
        "feature-extraction".equals(task) ? Optional.of(embedding(root)) : Optional.empty();
    Map<String, Object> scheduler =
        optional(root, "scheduler", PackJson::scheduler).orElse(Map.of());
    PackSpec.EngineName engine = constant(root, "engine", PackSpec.EngineName.values());
    PackSpec.Dtype dtype = constant(root, "dtype", PackSpec.Dtype.values());
    String family = text(root, "family", v -> !v.isBlank(), "an architecture's name");
    Optional<PackSpec.Image> image = optional(root, "image", this::image);
    Optional<PackSpec.Cache> cache = optional(root, "cache", this::cache);
    Optional<PackSpec.Generation> generation = optional(root, "generation", this::generation);
    Optional<PackSpec.Latents> latents = optional(root, "latents", this::latents);
    Optional<PackSpec.Source> source = required(root, "source", this::source);
    if (!problems.isEmpty()) {
      return null;
    }
    return new PackSpec(
        task,
        family,
        engine,
        dtype,
        graphs,
        sha256,
        tokenizer,
        image,
        cache,
        generation,
        embedding,
        scheduler,
        latents,
        source.orElseThrow());
  }

  private PackSpec.Tokenizer tokenizer(JsonNode node) {
    keys(node, "file maxLength chatTemplate");
    Optional<String> template = Optional.empty();
    if (node.has("chatTemplate")) {
      template =
          Optional.ofNullable(
              text(
                  node, "chatTemplate", v -> v.contains("{prompt}"), "a text that holds {prompt}"));
    }
    return new PackSpec.Tokenizer(
        text(node, "file", v -> true, "a file name"), positive(node, "maxLength"), template);
  }

  private PackSpec.Image image(JsonNode node) {
    keys(node, "height width mean std");
    return new PackSpec.Image(
        positive(node, "height"),
        positive(node, "width"),
        channels(node, "mean"),
        channels(node, "std"));
  }

  private PackSpec.Cache cache(JsonNode node) {
    keys(node, "layers heads headDim prefix");
    return new PackSpec.Cache(
        positive(node, "layers"),
        positive(node, "heads"),
        positive(node, "headDim"),
        integer(node, "prefix", 0, v -> v >= 0, "0 or more slots"));
  }

  private PackSpec.Generation generation(JsonNode node) {
    keys(node, "bos eos pad decoderStart forcedBos forcedEos suppress maxLength");
    return new PackSpec.Generation(
        tokenId(node, "bos"),
        tokenIds(node, "eos"),
        tokenId(node, "pad"),
        tokenId(node, "decoderStart"),
        tokenId(node, "forcedBos"),
        tokenId(node, "forcedEos"),
        tokenIds(node, "suppress"),
        positive(node, "maxLength"));
  }

  private PackSpec.Embedding embedding(JsonNode root) {
    JsonNode normalize = root.path("normalize");
    if (!normalize.isBoolean()) {
      fail("normalize", normalize, "true or false");
    }
    return new PackSpec.Embedding(
        constant(root, "pooling", PackSpec.Pooling.values()),
        normalize.asBoolean(),
        positive(root, "dimension"));
  }

  private static Map<String, Object> scheduler(JsonNode node) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : node.properties()) {
      if (!entry.getValue().isNull()) {
        values.put(entry.getKey(), JSON.convertValue(entry.getValue(), Object.class));
      }
    }
    return values;
  }

  private PackSpec.Latents latents(JsonNode node) {
    keys(node, "channels scale multiple scalingFactor");
    JsonNode factor = node.path("scalingFactor");
    if (!factor.isNumber() || factor.asDouble() <= 0) {
      fail("scalingFactor", factor, "a number above 0");
    }
    return new PackSpec.Latents(
        positive(node, "channels"),
        positive(node, "scale"),
        positive(node, "multiple"),
        factor.asDouble());
  }

  private PackSpec.Source source(JsonNode node) {
    keys(node, "id revision licence");
    return new PackSpec.Source(
        text(node, "id", v -> !v.isBlank(), "a model's name"),
        text(node, "revision", v -> true, "a text"),
        text(node, "licence", v -> !v.isBlank(), "a licence's name"));
  }

  /**
   * Only plain names: a pack that names files outside its folder could make the cache read or
   * overwrite anything.
   */
  private void fileName(String name) {
    if (name.equals(FILE) || !name.matches("[A-Za-z0-9_][A-Za-z0-9._-]*")) {
      problems.add(
          "sha256."
              + name
              + ": a path (expected: a plain file name inside the pack, not "
              + FILE
              + ")");
    }
  }

  private void listed(String key, String file, Set<String> files) {
    if (file != null && !files.contains(file)) {
      problems.add(key + ": " + file + " (expected: a file listed under sha256)");
    }
  }

  private void keys(JsonNode node, String known) {
    List<String> expected = Arrays.asList(known.split(" "));
    for (String key : names(node)) {
      if (!expected.contains(key)) {
        problems.add(prefix + key + ": unknown key (expected: one of " + expected + ")");
      }
    }
  }

  private static Set<String> names(JsonNode node) {
    Set<String> names = new LinkedHashSet<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  private <T> Optional<T> optional(JsonNode root, String key, Function<JsonNode, T> reader) {
    return root.has(key) ? required(root, key, reader) : Optional.empty();
  }

  private <T> Optional<T> required(JsonNode root, String key, Function<JsonNode, T> reader) {
    JsonNode node = root.path(key);
    if (!node.isObject()) {
      fail(key, node, "an object");
      return Optional.empty();
    }
    prefix = key + ".";
    T value = reader.apply(node);
    prefix = "";
    return Optional.of(value);
  }

  private Map<String, String> strings(
      JsonNode root, String key, Predicate<String> rule, String expected) {
    return required(root, key, node -> strings(node, rule, expected)).orElse(Map.of());
  }

  private Map<String, String> strings(JsonNode node, Predicate<String> rule, String expected) {
    Map<String, String> values = new LinkedHashMap<>();
    names(node).forEach(name -> values.put(name, text(node, name, rule, expected)));
    if (values.isEmpty()) {
      problems.add(prefix.replace(".", "") + ": {} (expected: at least one entry)");
    }
    values.values().removeIf(Objects::isNull);
    return values;
  }

  private List<Double> channels(JsonNode node, String key) {
    JsonNode values = node.path(key);
    if (values.size() != 3
        || !StreamSupport.stream(values.spliterator(), false).allMatch(JsonNode::isNumber)) {
      fail(key, values, "three numbers");
      return List.of();
    }
    return StreamSupport.stream(values.spliterator(), false).map(JsonNode::asDouble).toList();
  }

  private OptionalInt tokenId(JsonNode node, String key) {
    return node.has(key)
        ? OptionalInt.of(integer(node, key, 0, v -> v >= 0, "a token id"))
        : OptionalInt.empty();
  }

  private List<Integer> tokenIds(JsonNode node, String key) {
    JsonNode values = node.path(key);
    if (values.isMissingNode()) {
      return List.of();
    }
    if (!values.isArray()
        || !StreamSupport.stream(values.spliterator(), false)
            .allMatch(v -> v.canConvertToInt() && v.asInt() >= 0)) {
      fail(key, values, "a list of token ids");
      return List.of();
    }
    return StreamSupport.stream(values.spliterator(), false).map(JsonNode::asInt).toList();
  }

  private int positive(JsonNode node, String key) {
    return integer(node, key, 1, v -> v > 0, "a whole number above 0");
  }

  private int integer(JsonNode node, String key, int fallback, IntPredicate rule, String expected) {
    JsonNode value = node.path(key);
    if (!value.isIntegralNumber() || !value.canConvertToInt() || !rule.test(value.asInt())) {
      fail(key, value, expected);
      return fallback;
    }
    return value.asInt();
  }

  private String text(JsonNode node, String key, Predicate<String> rule, String expected) {
    JsonNode value = node.path(key);
    if (value.isTextual() && rule.test(value.asText())) {
      return value.asText();
    }
    fail(key, value, expected);
    return null;
  }

  private <E extends Enum<E>> E constant(JsonNode node, String key, E[] values) {
    JsonNode value = node.path(key);
    return Arrays.stream(values)
        .filter(v -> value.isTextual() && v.name().equals(value.asText()))
        .findFirst()
        .orElseGet(
            () -> {
              fail(key, value, "one of " + Arrays.toString(values));
              return null;
            });
  }

  private void fail(String key, JsonNode value, String expected) {
    problems.add(
        prefix
            + key
            + ": "
            + (value instanceof MissingNode ? "missing" : value)
            + " (expected: "
            + expected
            + ")");
  }
}
