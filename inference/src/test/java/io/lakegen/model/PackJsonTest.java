package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import ai.djl.Device;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problem;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PackJsonTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String DIGEST = "0".repeat(64);

  private static PackSpec parse(JsonNode spec) {
    return PackJson.parse("s3a://lake/pack", spec.toString().getBytes(StandardCharsets.UTF_8));
  }

  private static PackSpec parse(Consumer<ObjectNode> change) {
    ObjectNode spec = TestPacks.spec();
    change.accept(spec);
    return parse(spec);
  }

  private static List<String> problems(Consumer<ObjectNode> change) {
    InvalidPackException e = catchThrowableOfType(InvalidPackException.class, () -> parse(change));
    assertThat(e).as("the pack is refused").isNotNull();
    return e.problems().stream().map(Problem::toString).toList();
  }

  private static JsonNode json(String content) {
    try {
      return JSON.readTree(content);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e);
    }
  }

  @Test
  void readsAnEmbeddingPack() {
    PackSpec spec = parse(TestPacks.spec());
    assertThat(spec)
        .isEqualTo(
            new PackSpec(
                json(
                    "{\"feature-extraction\":{\"pooling\":\"mean\",\"normalize\":true,\"dimension\":8}}"),
                "bert",
                PackSpec.EngineName.PyTorch,
                PackSpec.Dtype.float32,
                Map.of("model", "model.pt"),
                Map.of("model.pt", DIGEST, "tokenizer.json", DIGEST, "golden.json", DIGEST),
                Optional.of(new PackSpec.Tokenizer("tokenizer.json", 128, Optional.empty())),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                new PackSpec.Source("test", "1", "Apache-2.0")));
  }

  @Test
  void readsEveryOptionalSection() {
    PackSpec spec =
        parse(
            root -> {
              root.withObject("/tasks").putObject("text-to-image");
              root.withObject("/tokenizer").put("chatTemplate", "<user>{prompt}</user>");
              root.set(
                  "image",
                  json(
                      "{'height': 64, 'width': 32, 'mean': [0, 0.5, 1], 'std': [1, 1, 0.25]}"
                          .replace('\'', '"')));
              root.set(
                  "cache",
                  json("{'layers': 2, 'heads': 3, 'headDim': 4, 'prefix': 0}".replace('\'', '"')));
              root.set(
                  "generation",
                  json(
                      ("{'bos': 0, 'eos': [1, 2], 'pad': 3, 'decoderStart': 4, 'forcedBos': 5,"
                              + " 'forcedEos': 6, 'suppress': [7, 8], 'maxLength': 9}")
                          .replace('\'', '"')));
            });

    assertThat(spec.tokenizer().orElseThrow().chatTemplate()).contains("<user>{prompt}</user>");
    assertThat(spec.image())
        .contains(new PackSpec.Image(64, 32, List.of(0.0, 0.5, 1.0), List.of(1.0, 1.0, 0.25)));
    assertThat(spec.cache()).contains(new PackSpec.Cache(2, 3, 4, 0, false));
    assertThat(spec.generation())
        .contains(
            new PackSpec.Generation(
                OptionalInt.of(0),
                List.of(1, 2),
                OptionalInt.of(3),
                OptionalInt.of(4),
                OptionalInt.of(5),
                OptionalInt.of(6),
                List.of(7, 8),
                9));
    assertThat(spec.tasks()).containsExactly("feature-extraction", "text-to-image");
  }

  @Test
  void weightsInFloat16UnderFloat32ArithmeticAreForCpus() {
    PackSpec spec = parse(root -> root.put("dtype", "float16_weights"));
    spec.requireRunsOn(Device.cpu());
    assertThatThrownBy(() -> spec.requireRunsOn(Device.gpu(1)))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageContaining("device: gpu(1) (expected: cpu for a pack in float16_weights)");
    parse(TestPacks.spec()).requireRunsOn(Device.gpu(1));
  }

  @Test
  void absentTokenIdsMeanNone() {
    PackSpec spec = parse(root -> root.putObject("generation").put("maxLength", 16));
    assertThat(spec.generation())
        .contains(
            new PackSpec.Generation(
                OptionalInt.empty(),
                List.of(),
                OptionalInt.empty(),
                OptionalInt.empty(),
                OptionalInt.empty(),
                OptionalInt.empty(),
                List.of(),
                16));
  }

  /** Path of the key, its bad value (none: the key is left out), the message. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          tasks              | {}           | tasks: {} (expected: at least one task that the model serves)
          tasks              |              | tasks: missing (expected: an object)
          tasks/classify     | true         | tasks.classify: true (expected: an object)
          family             | " "          | family: " " (expected: an architecture's name)
          family             | 3            | family: 3 (expected: an architecture's name)
          engine             | "Torch"      | engine: "Torch" (expected: one of [PyTorch, OnnxRuntime])
          engine             |              | engine: missing (expected: one of [PyTorch, OnnxRuntime])
          dtype              | "float64"    | dtype: "float64" (expected: one of [float32, bfloat16, float16, float16_weights, int8])
          graphs             | []           | graphs: [] (expected: an object)
          graphs             | {}           | graphs: {} (expected: at least one entry)
          graphs             |              | graphs: missing (expected: an object)
          graphs/model       | 7            | graphs.model: 7 (expected: a file name)
          graphs/model       | "other.pt"   | graphs.model: other.pt (expected: a file listed under sha256)
          graphs/model       | "../model.pt" | graphs.model: ../model.pt (expected: a file listed under sha256)
          sha256/model.pt    | "ABC"        | sha256.model.pt: "ABC" (expected: 64 lower-case hex digits)
          sha256/golden.json |              | golden.json: golden.json (expected: a file listed under sha256)
          tokenizer          | null         | tokenizer: null (expected: an object)
          tokenizer/file     | "t.json"     | tokenizer.file: t.json (expected: a file listed under sha256)
          tokenizer/file     |              | tokenizer.file: missing (expected: a file name)
          tokenizer/maxLength | 0           | tokenizer.maxLength: 0 (expected: a whole number above 0)
          tokenizer/maxLength | 12.5        | tokenizer.maxLength: 12.5 (expected: a whole number above 0)
          tokenizer/maxLength | 99999999999 | tokenizer.maxLength: 99999999999 (expected: a whole number above 0)
          tokenizer/chatTemplate | "hello"  | tokenizer.chatTemplate: "hello" (expected: a text that holds {prompt})
          image              | {"height": 0, "width": 1, "mean": [0, 0, 0], "std": [1, 1, 1]} | image.height: 0 (expected: a whole number above 0)
          image              | {"height": 1, "width": 1, "mean": [0, 0], "std": [1, 1, 1]} | image.mean: [0,0] (expected: three numbers)
          image              | {"height": 1, "width": 1, "mean": [0, 0, 0], "std": ["1", 1, 1]} | image.std: ["1",1,1] (expected: three numbers)
          cache              | {"layers": 1, "heads": 1, "headDim": 1} | cache.prefix: missing (expected: 0 or more slots)
          cache              | {"layers": 1, "heads": 1, "headDim": -1, "prefix": 0} | cache.headDim: -1 (expected: a whole number above 0)
          generation         | {"maxLength": 1, "bos": -1} | generation.bos: -1 (expected: a token id)
          generation         | {"maxLength": 1, "eos": 2} | generation.eos: 2 (expected: a list of token ids)
          generation         | {"maxLength": 1, "suppress": [1, "a"]} | generation.suppress: [1,"a"] (expected: a list of token ids)
          generation         | {"eos": [2]} | generation.maxLength: missing (expected: a whole number above 0)
          source             |              | source: missing (expected: an object)
          source/id          | ""           | source.id: "" (expected: a model's name)
          source/revision    | 1            | source.revision: 1 (expected: a text)
          source/licence     |              | source.licence: missing (expected: a licence's name)
          """)
  void namesKeyValueAndRule(String path, String value, String message) {
    assertThat(
            problems(
                root -> {
                  int slash = path.indexOf('/');
                  ObjectNode node =
                      slash < 0 ? root : (ObjectNode) root.get(path.substring(0, slash));
                  String key = path.substring(slash + 1);
                  if (value == null) {
                    node.remove(key);
                  } else {
                    node.set(key, json(value));
                  }
                }))
        .containsExactly(message);
  }

  @Test
  void namesEveryProblemAtOnce() {
    assertThatThrownBy(
            () ->
                parse(
                    root -> {
                      root.put("engine", "Torch");
                      root.remove("source");
                      root.put("family", "");
                      root.putObject("cache").put("layers", 1).put("heads", 1).put("headDim", 1);
                      root.put("colour", "red");
                      root.withObject("/tokenizer").put("padding", true);
                    }))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageStartingWith("model pack s3a://lake/pack: ")
        .asInstanceOf(
            org.assertj.core.api.InstanceOfAssertFactories.type(InvalidPackException.class))
        .extracting(InvalidPackException::problems)
        .asInstanceOf(org.assertj.core.api.InstanceOfAssertFactories.list(Problem.class))
        .extracting(Problem::toString)
        .containsExactlyInAnyOrder(
            "engine: \"Torch\" (expected: one of [PyTorch, OnnxRuntime])",
            "source: missing (expected: an object)",
            "family: \"\" (expected: an architecture's name)",
            "cache.prefix: missing (expected: 0 or more slots)",
            "colour: unknown key (expected: one of [format, family, engine, dtype, tokenizer,"
                + " image, cache, generation, tasks, source, graphs, sha256])",
            "tokenizer.padding: unknown key (expected: one of [file, maxLength, chatTemplate])");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a\u0000b",
        "a\n",
        "a/b",
        "a\\b",
        "..",
        ".",
        ".hidden",
        "",
        "pack.json",
        "a b"
      })
  void filesStayInsideThePack(String name) {
    assertThat(problems(root -> root.withObject("/sha256").put(name, DIGEST)))
        .containsExactly(
            "sha256."
                + name
                + ": a path (expected: a plain file name inside the pack, not pack.json)");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          1    | format: 1 (expected: 2; export the model anew with model-export)
          "2"  | format: "2" (expected: 2; export the model anew with model-export)
          2.0  | format: 2.0 (expected: 2; export the model anew with model-export)
               | format: missing (expected: 2; export the model anew with model-export)
          """)
  void anotherFormatIsNotReadFurther(String format, String message) {
    assertThat(
            problems(
                root -> {
                  root.put("unknown", 1);
                  if (format == null) {
                    root.remove("format");
                  } else {
                    root.set("format", json(format));
                  }
                }))
        .containsExactly(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"format": 1               | pack.json: Unexpected end-of-input
          {"format": 1, "format": 1} | pack.json: Duplicate field 'format'
          {} {}                      | pack.json: Trailing token
          nonsense                   | pack.json: Unrecognized token 'nonsense'
          [1]                        | pack.json: [1] (expected: a JSON object)
          ''                         | pack.json: missing (expected: a JSON object)
          """)
  void refusesWhatIsNoJsonObject(String content, String message) {
    assertThatThrownBy(() -> PackJson.parse("p", content.getBytes(StandardCharsets.UTF_8)))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageStartingWith("model pack p: " + message);
  }
}
