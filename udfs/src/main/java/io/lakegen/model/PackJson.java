package io.lakegen.model;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.stream.StreamSupport;

/** Reads {@code pack.json}; every departure from the format is reported, not just the first. */
final class PackJson {
  static final String FILE = "pack.json";

  private static final ObjectMapper JSON =
      new ObjectMapper().enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);
  private static final Set<String> TASKS =
      new TreeSet<>(
          Set.of(
              "feature-extraction",
              "text-generation",
              "text2text-generation",
              "image-to-text",
              "text-to-image"));

  private final List<String> problems = new ArrayList<>();

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
      throw new InvalidPackException(name, FILE + " is not JSON: " + e.getOriginalMessage());
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
        "",
        "format task family engine dtype graphs sha256 tokenizer image cache generation pooling normalize dimension"
            + " scheduler latents source");
    String task = text(root, "task", TASKS::contains, "one of " + TASKS);
    Map<String, String> sha256 =
        strings(root, "sha256", v -> v.matches("[0-9a-f]{64}"), "64 lower-case hex digits");
    sha256.keySet().forEach(this::fileName);
    Map<String, String> graphs = strings(root, "graphs", v -> true, "a file name");
    graphs.forEach((role, file) -> listed("graphs." + role, file, sha256));
    Optional<PackSpec.Tokenizer> tokenizer = object(root, "tokenizer").map(this::tokenizer);
    tokenizer.ifPresent(t -> listed("tokenizer.file", t.file(), sha256));
    listed("golden.json", GoldenCheck.FILE, sha256);
    Optional<PackSpec.Embedding> embedding =
        "feature-extraction".equals(task) ? Optional.of(embedding(root)) : Optional.empty();
    Map<String, Object> scheduler = new LinkedHashMap<>();
    object(root, "scheduler")
        .ifPresent(
            s ->
                s.properties().stream()
                    .filter(e -> !e.getValue().isNull())
                    .forEach(
                        e ->
                            scheduler.put(
                                e.getKey(), JSON.convertValue(e.getValue(), Object.class))));
    PackSpec.EngineName engine = constant(root, "engine", PackSpec.EngineName.values());
    PackSpec.Dtype dtype = constant(root, "dtype", PackSpec.Dtype.values());
    Optional<PackSpec.Source> source = required(root, "source").map(this::source);
    return source.isEmpty()
        ? null
        : new PackSpec(
            task,
            text(root, "family", v -> !v.isBlank(), "an architecture's name"),
            engine,
            dtype,
            graphs,
            sha256,
            tokenizer,
            object(root, "image").map(this::image),
            object(root, "cache").map(this::cache),
            object(root, "generation").map(this::generation),
            embedding,
            scheduler,
            object(root, "latents").map(this::latents),
            source.get());
  }

  private PackSpec.Tokenizer tokenizer(JsonNode node) {
    keys(node, "tokenizer.", "file maxLength chatTemplate");
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
    keys(node, "image.", "height width mean std");
    return new PackSpec.Image(
        positive(node, "height"),
        positive(node, "width"),
        channels(node, "mean"),
        channels(node, "std"));
  }

  private PackSpec.Cache cache(JsonNode node) {
    keys(node, "cache.", "layers heads headDim prefix");
    return new PackSpec.Cache(
        positive(node, "layers"),
        positive(node, "heads"),
        positive(node, "headDim"),
        integer(node, "prefix", 0, v -> v >= 0, "0 or more slots"));
  }

  private PackSpec.Generation generation(JsonNode node) {
    keys(node, "generation.", "bos eos pad decoderStart forcedBos forcedEos suppress maxLength");
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

  private PackSpec.Latents latents(JsonNode node) {
    keys(node, "latents.", "channels scale scalingFactor");
    JsonNode factor = node.path("scalingFactor");
    if (!factor.isNumber() || factor.asDouble() <= 0) {
      fail("latents.scalingFactor", factor, "a number above 0");
    }
    return new PackSpec.Latents(
        positive(node, "channels"), positive(node, "scale"), factor.asDouble());
  }

  private PackSpec.Source source(JsonNode node) {
    keys(node, "source.", "id revision licence");
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

  private void listed(String key, String file, Map<String, String> sha256) {
    if (file != null && !sha256.containsKey(file)) {
      problems.add(key + ": " + file + " (expected: a file listed under sha256)");
    }
  }

  private void keys(JsonNode node, String prefix, String known) {
    List<String> expected = Arrays.asList(known.split(" "));
    node.fieldNames()
        .forEachRemaining(
            key -> {
              if (!expected.contains(key)) {
                problems.add(prefix + key + ": unknown key (expected: one of " + expected + ")");
              }
            });
  }

  private Optional<JsonNode> object(JsonNode root, String key) {
    return root.has(key) ? required(root, key) : Optional.empty();
  }

  private Optional<JsonNode> required(JsonNode root, String key) {
    JsonNode node = root.path(key);
    if (!node.isObject()) {
      fail(key, node, "an object");
      return Optional.empty();
    }
    return Optional.of(node);
  }

  private Map<String, String> strings(
      JsonNode root, String key, Predicate<String> rule, String expected) {
    Map<String, String> values = new LinkedHashMap<>();
    Optional<JsonNode> node = required(root, key);
    node.ifPresent(
        object ->
            object
                .fieldNames()
                .forEachRemaining(
                    name ->
                        values.put(name, text(object, name, key + "." + name, rule, expected))));
    if (node.isPresent() && values.isEmpty()) {
      fail(key, node.get(), "at least one entry");
    }
    values.values().removeIf(v -> v == null);
    return values;
  }

  private List<Double> channels(JsonNode node, String key) {
    JsonNode values = node.path(key);
    if (values.size() != 3
        || !StreamSupport.stream(values.spliterator(), false).allMatch(JsonNode::isNumber)) {
      fail("image." + key, values, "three numbers");
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
      fail("generation." + key, values, "a list of token ids");
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
    return text(node, key, key, rule, expected);
  }

  private String text(
      JsonNode node, String key, String shown, Predicate<String> rule, String expected) {
    JsonNode value = node.path(key);
    if (value.isTextual() && rule.test(value.asText())) {
      return value.asText();
    }
    fail(shown, value, expected);
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
        key
            + ": "
            + (value instanceof MissingNode ? "missing" : value)
            + " (expected: "
            + expected
            + ")");
  }
}
