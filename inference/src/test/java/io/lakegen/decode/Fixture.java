package io.lakegen.decode;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.model.TestPacks;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.StreamSupport;
import org.apache.hadoop.conf.Configuration;

/** A tiny model with what transformers makes of it; the format is in model-export/fixtures. */
public record Fixture(String name, LoadedModel model, JsonNode expected) {
  private static final Map<String, Fixture> LOADED = new ConcurrentHashMap<>();

  /** Loaded once a JVM and never closed: the models are tiny. */
  public static Fixture load(String name) {
    return LOADED.computeIfAbsent(
        name,
        n -> {
          try {
            Path folder = folder(n);
            PackStore store = new PackStore(Path.of("target", "fixture-packs").toAbsolutePath());
            ModelPack pack =
                store.fetch(folder.resolve("pack").toUri().toString(), new Configuration());
            LoadedModel model = LoadedModel.load(pack, TestPacks.device(pack), 1);
            return new Fixture(n, model, json(n));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  public static Path folder(String name) {
    return Path.of("src/test/resources/fixtures", name).toAbsolutePath();
  }

  public static JsonNode json(String name) throws IOException {
    return new ObjectMapper().readTree(folder(name).resolve("expected.json").toFile());
  }

  public List<long[]> prompts() {
    return stream(expected.path("prompts")).map(Fixture::ids).toList();
  }

  /** All fixtures of text generation and their cases. */
  public static java.util.stream.Stream<JsonNode> stream(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false);
  }

  public static long[] ids(JsonNode array) {
    return stream(array).mapToLong(JsonNode::asLong).toArray();
  }

  public static float[] floats(JsonNode numbers) {
    ByteBuffer bytes =
        ByteBuffer.wrap(Base64.getDecoder().decode(numbers.path("float32").asText()))
            .order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[bytes.remaining() / Float.BYTES];
    bytes.asFloatBuffer().get(values);
    return values;
  }

  /** Decoding options by the names of {@code GenerationConfig}. */
  public static OptionValues options(JsonNode options) {
    Map<String, Object> raw = new HashMap<>();
    options
        .properties()
        .forEach(
            e ->
                raw.put(
                    e.getKey().replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT),
                    e.getValue().asText()));
    Problems problems = new Problems();
    OptionValues values = OptionValues.parse(DecodingOptions.with(), raw, problems);
    problems.throwIfAny();
    return values;
  }
}
