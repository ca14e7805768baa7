package io.lakegen.task.embed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.encoder.TextEncoderTask.Tokens;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.model.TestPacks;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.embed.TextEmbedder.Embedding;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TextEmbedderTest {
  @TempDir static Path cache;

  private static LoadedModel load(String fixture) throws IOException {
    ModelPack pack =
        new PackStore(cache).fetch(TestPacks.fixture(fixture).toString(), new Configuration());
    return LoadedModel.load(pack, TestPacks.device(pack), 1);
  }

  private static RowInput row(String text) {
    return RowInputs.of("text", text);
  }

  @Test
  void attentionIsThatOfTransformersInEveryBatch() throws Exception {
    JsonNode expected =
        new ObjectMapper()
            .readTree(TestPacks.fixture("bert-attention").resolveSibling("expected.json").toFile());
    try (LoadedModel model = load("bert-attention")) {
      TextEmbedder embedder = new TextEmbedder(model, true);
      List<Tokens> batch = new ArrayList<>();
      for (JsonNode text : expected) {
        batch.add(embedder.prepare(row(text.path("text").asText())));
      }
      List<Embedding> together = embedder.infer(batch);
      for (int i = 0; i < batch.size(); i++) {
        Embedding alone = embedder.infer(List.of(batch.get(i))).get(0);
        JsonNode reference = expected.get(i);
        List<Object> values = embedder.values(together.get(i)).get(0);
        assertThat(values.get(3))
            .isEqualTo(new ObjectMapper().convertValue(reference.path("tokens"), List.class));
        for (int t = 0; t < reference.path("tokens").size(); t++) {
          float[] weights = together.get(i).attention().weights().get(t);
          assertThat(weights).containsExactly(vector(reference.path("weights"), t), within(1e-5f));
          assertThat(alone.attention().weights().get(t)).containsExactly(weights, within(1e-6f));
        }
        assertThat(new TextEmbedder(model).infer(List.of(batch.get(i))).get(0).vector())
            .containsExactly(together.get(i).vector(), within(1e-5f));
      }
      embedder.check();
    }
  }

  @Test
  void attentionNeedsAPackThatHasIt() throws IOException {
    try (LoadedModel model = load("bert")) {
      Problems problems = new Problems();
      new Embed(Argument.Kind.TEXT)
          .check(OptionValues.NONE.with(Embed.ATTENTION, true), model.pack().spec(), problems);
      assertThat(problems.list())
          .extracting(Problem::toString)
          .containsExactly(
              "attention: true (expected: a pack with attention; export the model again, with"
                  + " --attention-layer N)");
    }
  }

  /** All texts in one batch, each alone, and what transformers gives for each. */
  @ParameterizedTest
  @ValueSource(strings = {"bert", "bert-onnx", "distilbert", "roberta", "modernbert"})
  void batchesSingleRowsAndTheReferenceAgree(String fixture) throws Exception {
    JsonNode expected =
        new ObjectMapper()
            .readTree(TestPacks.fixture(fixture).resolveSibling("expected.json").toFile());
    try (LoadedModel model = load(fixture)) {
      TextEmbedder embedder = new TextEmbedder(model);
      List<Tokens> batch = new ArrayList<>();
      List<float[]> references = new ArrayList<>();
      for (int i = 0; i < expected.path("texts").size(); i++) {
        String text = expected.path("texts").path(i).asText();
        if (!text.isBlank()) {
          batch.add(embedder.prepare(row(text)));
          references.add(vector(expected.path("embeddings"), i));
        }
      }
      List<Embedding> together = embedder.infer(batch);
      assertThat(together).hasSize(references.size()).hasSizeGreaterThan(5);
      for (int i = 0; i < references.size(); i++) {
        Embedding alone = embedder.infer(List.of(batch.get(i))).get(0);
        assertThat(alone.vector()).containsExactly(references.get(i), within(1e-5f));
        assertThat(together.get(i).vector()).containsExactly(alone.vector(), within(1e-5f));
        assertThat(together.get(i).tokenCount()).isEqualTo(batch.get(i).ids().length);
      }
      embedder.check();
    }
  }

  private static float[] vector(JsonNode tensor, int row) {
    int width = tensor.path("shape").path(1).asInt();
    float[] values = new float[width];
    ByteBuffer.wrap(Base64.getDecoder().decode(tensor.path("float32").asText()))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(row * width, values);
    return values;
  }

  @Test
  void longTextsAreTruncatedAndSaySo() throws Exception {
    try (LoadedModel model = load("bert")) {
      TextEmbedder embedder = new TextEmbedder(model);
      Tokens tokens = embedder.prepare(row("the lake ".repeat(500)));
      assertThat(tokens.ids()).hasSize(64);
      assertThat(tokens.truncated()).isTrue();
      assertThat(embedder.cost(tokens)).isEqualTo(64);
      assertThat(embedder.infer(List.of(tokens)).get(0).truncated()).isTrue();
      assertThat(embedder.prepare(row("the lake")).truncated()).isFalse();
    }
  }

  @Test
  void lengthsAreRoundedUpOnlyWhereTheEngineKeepsMemoryForEveryShape() throws Exception {
    try (LoadedModel torch = load("bert");
        LoadedModel onnx = load("bert-onnx")) {
      Tokens tokens = new Tokens("", new long[17], new long[17], false);
      assertThat(new TextEmbedder(torch).cost(tokens)).isEqualTo(20);
      assertThat(new TextEmbedder(onnx).cost(tokens)).isEqualTo(17);
      assertThat(new TextEmbedder(torch).size(tokens)).isEqualTo(17);
    }
  }

  @Test
  void badTextsAreRefused() throws Exception {
    try (LoadedModel model = load("bert")) {
      TextEmbedder embedder = new TextEmbedder(model);
      assertThatThrownBy(() -> embedder.prepare(row(null)))
          .isInstanceOf(RowException.class)
          .hasMessage("the text is null (expected: a text)");
      assertThat(embedder.inputBytes(row(null))).isZero();
      assertThat(embedder.inputBytes(row("abc"))).isEqualTo(3);
    }
  }

  @Test
  void aSectionThatIsWrongIsTold() throws Exception {
    try (LoadedModel model = load("gpt2")) {
      Problems problems = new Problems();
      new Embed().check(OptionValues.NONE, model.pack().spec(), problems);
      assertThat(problems.list())
          .extracting(Problem::toString)
          .contains(
              "model: graphs: [decoder] (expected: a graph of the role model)",
              "tasks.feature-extraction.dimension: missing (expected: a whole number above 0)");
    }
  }

  /** What is hard for tokenizers: one word, no word, marks to normalise, on two threads at once. */
  @ParameterizedTest
  @ValueSource(strings = {"bert", "roberta"})
  void hugeTextsAreCutAsAnyOther(String fixture) throws Exception {
    int length = 300_000;
    List<String> bombs =
        List.of(
            "a".repeat(length),
            " ".repeat(length) + "a",
            "e" + "\u0301".repeat(length),
            "the lake ".repeat(length / 9),
            "!?".repeat(length / 2));
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (LoadedModel model = load(fixture)) {
      TextEmbedder embedder = new TextEmbedder(model);
      int most = model.pack().spec().tokenizer().orElseThrow().maxLength();
      List<Callable<Tokens>> calls = new ArrayList<>();
      bombs.forEach(text -> calls.add(() -> embedder.prepare(row(text))));
      for (Future<Tokens> tokens : threads.invokeAll(calls)) {
        assertThat(tokens.get().ids()).hasSizeBetween(1, most);
      }
      assertThatThrownBy(() -> embedder.prepare(RowInputs.of(1, "text", new byte[300_000_000])))
          .isInstanceOf(RowException.class)
          .hasMessage("300000000 bytes of text (expected: at most 4194304)");
    } finally {
      threads.shutdownNow();
    }
  }
}
