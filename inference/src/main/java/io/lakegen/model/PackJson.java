package io.lakegen.model;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Reads and checks {@code pack.json} as far as all models have it in common. What only one task
 * needs stands in a section of that task, which the task reads.
 */
final class PackJson {
  static final String FILE = "pack.json";

  private static final int FORMAT = 2;
  private static final String FORMAT_RULE = FORMAT + "; export the model anew with model-export";
  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private final PackSection root;
  private final Problems problems;

  private PackJson(PackSection root, Problems problems) {
    this.root = root;
    this.problems = problems;
  }

  /**
   * Parses and checks the content of {@code pack.json}.
   *
   * @param name how messages name the pack
   * @throws InvalidPackException with every problem found
   */
  static PackSpec parse(String name, byte[] content) {
    JsonNode json;
    try {
      json = JSON.readTree(content);
    } catch (JsonProcessingException e) {
      throw new InvalidPackException(name, new Problem(FILE, e.getOriginalMessage(), "JSON"));
    } catch (IOException e) {
      throw new InvalidPackException(
          name, new Problem(FILE, String.valueOf(e.getMessage()), "something readable"));
    }
    Problems problems = new Problems();
    PackSection root = new PackSection("", json, problems);
    if (!json.isObject()) {
      problems.add(FILE, json.isMissingNode() ? "missing" : json, "a JSON object");
    } else if (root.integer("format", 0, v -> v == FORMAT, FORMAT_RULE) == FORMAT) {
      PackSpec spec = new PackJson(root, problems).spec(json);
      if (problems.isEmpty()) {
        return spec;
      }
    }
    throw new InvalidPackException(name, problems.list());
  }

  private PackSpec spec(JsonNode json) {
    root.keys(
        "format",
        "family",
        "engine",
        "dtype",
        "tokenizer",
        "image",
        "cache",
        "generation",
        "tasks",
        "source",
        "graphs",
        "sha256");
    Map<String, String> sha256 =
        root.texts("sha256", v -> v.matches("[0-9a-f]{64}"), "64 lower-case hex digits");
    Set<String> files = root.names("sha256");
    files.forEach(this::fileName);
    Map<String, String> graphs = root.texts("graphs", v -> true, "a file name");
    graphs.forEach((role, file) -> listed("graphs." + role, file, files));
    Optional<PackSpec.Tokenizer> tokenizer = root.optional("tokenizer").map(PackJson::tokenizer);
    tokenizer.ifPresent(t -> listed("tokenizer.file", t.file(), files));
    listed("golden.json", GoldenCheck.FILE, files);
    root.section("tasks").ifPresent(tasks -> tasks.names().forEach(tasks::section));
    if (root.names("tasks").isEmpty() && json.path("tasks").isObject()) {
      problems.add("tasks", "{}", "at least one task that the model serves");
    }
    String family = root.text("family", v -> !v.isBlank(), "an architecture's name");
    PackSpec.EngineName engine = root.constant("engine", PackSpec.EngineName.class);
    PackSpec.Dtype dtype = root.constant("dtype", PackSpec.Dtype.class);
    Optional<PackSpec.Image> image = root.optional("image").map(PackJson::image);
    Optional<PackSpec.Cache> cache = root.optional("cache").map(PackJson::cache);
    Optional<PackSpec.Generation> generation =
        root.optional("generation").map(PackJson::generation);
    Optional<PackSpec.Source> source = root.section("source").map(PackJson::source);
    return problems.isEmpty()
        ? new PackSpec(
            json.path("tasks"),
            family,
            engine,
            dtype,
            graphs,
            sha256,
            tokenizer,
            image,
            cache,
            generation,
            source.orElseThrow())
        : null;
  }

  private static PackSpec.Tokenizer tokenizer(PackSection node) {
    node.keys("file", "maxLength", "chatTemplate");
    Optional<String> template =
        node.has("chatTemplate")
            ? Optional.ofNullable(
                node.text(
                    "chatTemplate", v -> v.contains("{prompt}"), "a text that holds {prompt}"))
            : Optional.empty();
    return new PackSpec.Tokenizer(
        node.text("file", v -> true, "a file name"), node.positive("maxLength"), template);
  }

  private static PackSpec.Image image(PackSection node) {
    node.keys("height", "width", "mean", "std");
    return new PackSpec.Image(
        node.positive("height"),
        node.positive("width"),
        node.channels("mean"),
        node.channels("std"));
  }

  private static PackSpec.Cache cache(PackSection node) {
    node.keys("layers", "heads", "headDim", "prefix", "commonPrefix");
    return new PackSpec.Cache(
        node.positive("layers"),
        node.positive("heads"),
        node.positive("headDim"),
        node.integer("prefix", 0, v -> v >= 0, "0 or more slots"),
        node.has("commonPrefix") && node.bool("commonPrefix"));
  }

  private static PackSpec.Generation generation(PackSection node) {
    node.keys(
        "bos", "eos", "pad", "decoderStart", "forcedBos", "forcedEos", "suppress", "maxLength");
    return new PackSpec.Generation(
        node.tokenId("bos"),
        node.tokenIds("eos"),
        node.tokenId("pad"),
        node.tokenId("decoderStart"),
        node.tokenId("forcedBos"),
        node.tokenId("forcedEos"),
        node.tokenIds("suppress"),
        node.positive("maxLength"));
  }

  private static PackSpec.Source source(PackSection node) {
    node.keys("id", "revision", "licence");
    return new PackSpec.Source(
        node.text("id", v -> !v.isBlank(), "a model's name"),
        node.text("revision", v -> true, "a text"),
        node.text("licence", v -> !v.isBlank(), "a licence's name"));
  }

  /**
   * Only plain names: a pack that names files outside its folder could make the cache read or
   * overwrite anything.
   */
  private void fileName(String name) {
    if (name.equals(FILE) || !name.matches("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")) {
      problems.add("sha256." + name, "a path", "a plain file name inside the pack, not " + FILE);
    }
  }

  private void listed(String key, String file, Set<String> files) {
    if (file != null && !files.contains(file)) {
      problems.add(key, file, "a file listed under sha256");
    }
  }
}
