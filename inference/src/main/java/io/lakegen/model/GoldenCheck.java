package io.lakegen.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;

/**
 * Runs the inputs of {@code golden.json} through a loaded model and compares its answers with those
 * that the reference implementation gave at export. The graphs are run in the file's order, so that
 * a decoder can take what an encoder returned or wrote into its slot cache. What a task makes of
 * graph outputs (pooling, say) is the task's own check.
 */
final class GoldenCheck {
  static final String FILE = "golden.json";

  private final LoadedModel model;
  private final NDManager manager;
  private final List<NDList> outputs = new ArrayList<>();
  private final List<NDArray> caches = new ArrayList<>();
  private final Problems problems = new Problems();
  private final double tolerance;
  private int compared;

  private GoldenCheck(LoadedModel model, NDManager manager, double tolerance) {
    this.model = model;
    this.manager = manager;
    this.tolerance = tolerance;
  }

  static void run(LoadedModel model) throws IOException {
    JsonNode golden = new ObjectMapper().readTree(model.pack().file(FILE).toFile());
    String name = model.pack().spec().source().id() + " on " + model.device();
    try (NDManager manager = model.newManager()) {
      GoldenCheck check = new GoldenCheck(model, manager, golden.path("tolerance").asDouble());
      golden.path("tokenizer").forEach(check::tokenizer);
      golden.path("graphs").forEach(check::graph);
      // A file that compares nothing would pass whatever the model answers.
      if (check.compared == 0 && golden.path("embeddings").isEmpty()) {
        check.problems.add(FILE, "no values", "outputs or embeddings to compare with");
      }
      if (!check.problems.isEmpty()) {
        throw new InvalidPackException(name, check.problems.list());
      }
    }
  }

  private void tokenizer(JsonNode entry) {
    String text = entry.path("text").asText();
    long[] actual = model.tokenizer().encode(text).getIds();
    long[] expected =
        LongStream.range(0, entry.path("ids").size())
            .map(i -> entry.path("ids").path((int) i).asLong())
            .toArray();
    if (!Arrays.equals(actual, expected)) {
      problems.add("tokens of '" + text + "'", Arrays.toString(actual), Arrays.toString(expected));
    }
  }

  private void graph(JsonNode entry) {
    String role = entry.path("graph").asText();
    NDList inputs = new NDList();
    NDArray cache = null;
    Graph graph = model.graph(role);
    for (JsonNode input : entry.path("inputs")) {
      String name = input.path("name").asText();
      boolean named = !graph.inputNames().isEmpty();
      if (named && !graph.inputNames().contains(name)) {
        // ONNX drops an input that the model does not use.
        continue;
      }
      NDArray array = input(input).toDevice(graph.device(), false);
      if (named) {
        array.setName(name);
      }
      if (name.equals("cache")) {
        cache = array;
      }
      inputs.add(array);
    }
    caches.add(cache);
    NDList results = graph.run(inputs);
    outputs.add(results);
    for (int i = 0; i < entry.path("outputs").size(); i++) {
      JsonNode expected = entry.path("outputs").path(i);
      if (!expected.isNull()) {
        compare(role + " output " + i, results.get(i), expected);
      }
    }
  }

  private void compare(String name, NDArray actual, JsonNode expected) {
    if (!actual.getShape().equals(shape(expected))) {
      problems.add(name, "shape " + actual.getShape(), shape(expected).toString());
      return;
    }
    NDArray floats =
        actual.getDataType() == DataType.FLOAT32 ? actual : actual.toType(DataType.FLOAT32, true);
    float[] values = floats.toFloatArray();
    double difference = 0;
    for (int i = 0; i < expected.path("index").size(); i++) {
      compared++;
      difference =
          worse(
              difference,
              values[expected.path("index").path(i).asInt()],
              expected.path("data").path(i).asDouble());
    }
    report(name, difference);
  }

  /** NaN must count as wrong, and every comparison with NaN is false. */
  private static double worse(double difference, double actual, double expected) {
    double here = Math.abs(actual - expected);
    return Double.isNaN(here) ? Double.POSITIVE_INFINITY : Math.max(difference, here);
  }

  private void report(String name, double difference) {
    if (difference > tolerance) {
      problems.add(name, "differs from the reference by " + difference, "at most " + tolerance);
    }
  }

  private NDArray input(JsonNode input) {
    if (input.has("from")) {
      int entry = input.path("from").path(0).asInt();
      JsonNode what = input.path("from").path(1);
      return what.isTextual() ? caches.get(entry) : outputs.get(entry).get(what.asInt());
    }
    DataType type =
        DataType.valueOf(input.path("dtype").asText().toUpperCase(java.util.Locale.ROOT));
    Shape shape = shape(input);
    int size = Math.toIntExact(shape.size());
    ByteBuffer buffer =
        ByteBuffer.allocateDirect(size * type.getNumOfBytes()).order(ByteOrder.nativeOrder());
    for (int i = 0; i < size; i++) {
      put(buffer, type, value(input, i));
    }
    buffer.rewind();
    return manager.create(buffer, shape, type);
  }

  private static double value(JsonNode input, int i) {
    return switch (input.path("pattern").asText()) {
      case "sin" -> Math.sin(0.1 * i);
      case "bytes" -> (i * 31L + 7) % 256;
      default ->
          input.has("fill") ? input.path("fill").asDouble() : input.path("data").path(i).asDouble();
    };
  }

  private static void put(ByteBuffer buffer, DataType type, double value) {
    switch (type) {
      case INT64 -> buffer.putLong((long) value);
      case INT32 -> buffer.putInt((int) value);
      case UINT8 -> buffer.put((byte) (int) value);
      case BOOLEAN -> buffer.put((byte) (value == 0 ? 0 : 1));
      case FLOAT32 -> buffer.putFloat((float) value);
      case FLOAT16 -> buffer.putShort(ai.djl.util.Float16Utils.floatToHalf((float) value));
      default ->
          throw new IllegalArgumentException(
              FILE
                  + " dtype: "
                  + type
                  + " (expected: int64, int32, uint8, boolean, float32 or float16)");
    }
  }

  private static Shape shape(JsonNode node) {
    long[] dimensions = new long[node.path("shape").size()];
    for (int i = 0; i < dimensions.length; i++) {
      dimensions[i] = node.path("shape").path(i).asLong();
    }
    return new Shape(dimensions);
  }
}
