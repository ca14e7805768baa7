package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.Fuzz;
import io.lakegen.Tasks;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Changed manifests and ONNX files are read or refused, nothing else. */
class PackFuzzTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final List<String> VALUES =
      List.of(
          "null",
          "true",
          "0",
          "-1",
          "1",
          "2",
          "1.5",
          "1e999",
          "-0.0",
          "99999999999999999999999",
          "\"\"",
          "\"mean\"",
          "\"../x\"",
          "\"model.pt\"",
          "\"{prompt}\"",
          "[]",
          "[1, 2, 3]",
          "[\"a\", null]",
          "{}",
          "{\"file\": {\"file\": 1}}");

  @Test
  void changedManifestsAreReadOrRefused() throws Exception {
    List<byte[]> manifests = new ArrayList<>();
    for (Path pack : TestPacks.fixtures()) {
      manifests.add(Files.readAllBytes(pack.resolve("pack.json")));
    }
    Map<String, Integer> outcomes = new TreeMap<>();
    Fuzz.run(
        "manifests",
        3_000,
        manifests,
        (content, random) -> random.nextInt(4) == 0 ? content : otherValues(manifests, random),
        content -> outcomes.merge(outcome(content), 1, Integer::sum));
    System.out.println("fuzz manifests: " + outcomes);
    assertThat(outcomes).containsKeys("read", "refused");
  }

  private static String outcome(byte[] content) {
    PackSpec spec;
    try {
      spec = PackJson.parse("p", content);
    } catch (InvalidPackException e) {
      assertThat(e.problems()).isNotEmpty();
      return "refused";
    }
    for (TaskDefinition task : Tasks.ALL) {
      if (task.data().packTasks().stream().anyMatch(spec.tasks()::contains)) {
        // Whatever is wrong for a task is a problem of its list.
        task.check(OptionValues.NONE, spec, new Problems());
      }
    }
    return "read";
  }

  /** Sound JSON with other values, keys added and keys gone: few changes of bytes get so far. */
  private static byte[] otherValues(List<byte[]> manifests, Random random) {
    try {
      JsonNode root = JSON.readTree(manifests.get(random.nextInt(manifests.size())));
      for (int i = random.nextInt(4) / 3; i >= 0; i--) {
        change(root, random);
      }
      return root.toString().getBytes(StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static void change(JsonNode node, Random random) throws IOException {
    JsonNode value = JSON.readTree(VALUES.get(random.nextInt(VALUES.size())));
    if (node instanceof ObjectNode object && !object.isEmpty()) {
      List<String> keys = new ArrayList<>();
      object.fieldNames().forEachRemaining(keys::add);
      String key = keys.get(random.nextInt(keys.size()));
      if (object.get(key).isContainerNode()
          && !object.get(key).isEmpty()
          && random.nextInt(3) > 0) {
        change(object.get(key), random);
      } else if (random.nextInt(4) == 0) {
        object.remove(key);
      } else {
        object.set(random.nextInt(8) == 0 ? key + "x" : key, value);
      }
    } else if (node instanceof ArrayNode array && !array.isEmpty()) {
      array.set(random.nextInt(array.size()), value);
    }
  }

  @Test
  void changedOnnxFilesAreReadOrRefused(@TempDir Path folder) throws Exception {
    List<byte[]> models = new ArrayList<>();
    models.add(OnnxFileTest.model("weights.bin"));
    for (String name : List.of("bert-onnx", "bert-classification-onnx")) {
      models.add(Files.readAllBytes(TestPacks.fixture(name).resolve("model.onnx")));
    }
    Map<String, Integer> outcomes = new TreeMap<>();
    Path file = folder.resolve("model.onnx");
    Fuzz.run(
        "onnx",
        1_000,
        models,
        (content, random) -> content,
        content -> {
          Files.write(file, content);
          try {
            OnnxFile.externalData(file);
            outcomes.merge("read", 1, Integer::sum);
          } catch (OnnxFile.MalformedException e) {
            outcomes.merge("refused", 1, Integer::sum);
          }
        });
    System.out.println("fuzz onnx: " + outcomes);
    assertThat(outcomes).containsKeys("read", "refused");
  }
}
