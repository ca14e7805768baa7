package io.lakegen.task.text;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Sentence embeddings from a {@code feature-extraction} pack: one vector a text, pooled and
 * normalised as sentence-transformers does it.
 */
public final class TextEmbedder
    implements ModelTask<byte[], TextEmbedder.Tokens, TextEmbedder.Embedding> {
  /**
   * libtorch keeps memory for every new shape; ONNX Runtime does not and is spared the padding
   * (FACTS, native memory).
   */
  private static final int TORCH_LENGTH_STEP = 16;

  private final LoadedModel model;
  private final Graph graph;
  private final PackSpec.Embedding embedding;
  private final int maxLength;
  private final int lengthStep;

  /**
   * A text as the model reads it.
   *
   * @param text the text itself
   * @param ids token ids, special tokens included
   * @param truncated whether the text was longer than the model reads
   */
  public record Tokens(String text, long[] ids, boolean truncated) {}

  /**
   * A text's vector.
   *
   * @param vector {@code dimension} values of the pack
   * @param tokenCount tokens the model read, special tokens included
   * @param truncated whether the text was longer
   */
  public record Embedding(float[] vector, int tokenCount, boolean truncated) {}

  /**
   * An embedder over a loaded pack, which stays the caller's to close.
   *
   * @throws IllegalArgumentException if the pack is for another task
   */
  public TextEmbedder(LoadedModel model) {
    this.model = model;
    PackSpec spec = model.pack().spec();
    this.embedding =
        spec.embedding()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "task: " + spec.task() + " (expected: feature-extraction)"));
    this.graph = model.graph("model");
    this.maxLength =
        spec.tokenizer()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "tokenizer: missing (expected: a pack with a tokenizer)"))
            .maxLength();
    this.lengthStep = spec.engine() == PackSpec.EngineName.PyTorch ? TORCH_LENGTH_STEP : 1;
  }

  @Override
  public Tokens prepare(byte[] utf8) throws RowException {
    Tokens tokens = tokenize(Utf8Text.decode(utf8));
    if (tokens.ids().length == 0) {
      throw RowException.prepare(
          "no_tokens", "the text has no token of the model's vocabulary (expected: at least one)");
    }
    return tokens;
  }

  private Tokens tokenize(String text) {
    Encoding encoding = model.tokenizer().encode(text);
    return new Tokens(text, encoding.getIds(), encoding.exceedMaxLength());
  }

  @Override
  public int size(Tokens tokens) {
    return tokens.ids().length;
  }

  @Override
  public int cost(Tokens tokens) {
    int rounded = (tokens.ids().length + lengthStep - 1) / lengthStep * lengthStep;
    return Math.max(tokens.ids().length, Math.min(maxLength, rounded));
  }

  @Override
  public long inputBytes(byte[] utf8) {
    return utf8 == null ? 0 : utf8.length;
  }

  @Override
  public Object identity(Tokens tokens) {
    return tokens.text();
  }

  @Override
  public List<Embedding> infer(List<Tokens> batch) {
    int length = batch.stream().mapToInt(this::cost).max().orElseThrow();
    long[] ids = new long[batch.size() * length];
    long[] mask = new long[ids.length];
    for (int i = 0; i < batch.size(); i++) {
      long[] row = batch.get(i).ids();
      System.arraycopy(row, 0, ids, i * length, row.length);
      java.util.Arrays.fill(mask, i * length, i * length + row.length, 1);
    }
    float[] hidden;
    try (NDManager manager = model.newManager()) {
      Shape shape = new Shape(batch.size(), length);
      hidden = graph.run(inputs(manager, shape, ids, mask)).head().toFloatArray();
    }
    int expected = ids.length * embedding.dimension();
    if (hidden.length != expected) {
      throw new IllegalStateException(
          "hidden states: "
              + hidden.length
              + " values (expected: "
              + expected
              + ", the pack's dimension for each token)");
    }
    Pooler pooler = new Pooler(embedding);
    List<Embedding> vectors = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      Tokens row = batch.get(i);
      float[] vector = pooler.pool(hidden, i * length * embedding.dimension(), row.ids().length);
      vectors.add(new Embedding(vector, row.ids().length, row.truncated()));
    }
    return vectors;
  }

  private NDList inputs(NDManager manager, Shape shape, long[] ids, long[] mask) {
    if (graph.inputNames().isEmpty()) {
      return new NDList(manager.create(ids, shape), manager.create(mask, shape));
    }
    NDList inputs = new NDList();
    for (String name : graph.inputNames()) {
      long[] values =
          switch (name) {
            case "input_ids" -> ids;
            case "attention_mask" -> mask;
            case "token_type_ids" -> new long[ids.length];
            default ->
                throw new IllegalStateException(
                    "graph input: "
                        + name
                        + " (expected: input_ids, attention_mask or token_type_ids)");
          };
      NDArray array = manager.create(values, shape);
      array.setName(name);
      inputs.add(array);
    }
    return inputs;
  }

  /**
   * {@inheritDoc} Embeds the golden texts, each alone, so that a wrong pooling is found as well as
   * a wrong graph.
   */
  @Override
  public void check() throws IOException {
    model.check();
    JsonNode golden = new ObjectMapper().readTree(model.pack().file("golden.json").toFile());
    double tolerance = golden.path("tolerance").asDouble();
    for (JsonNode entry : golden.path("embeddings")) {
      float[] actual = infer(List.of(tokenize(entry.path("text").asText()))).get(0).vector();
      JsonNode expected = entry.path("values");
      double difference = expected.size() == actual.length ? 0 : Double.NaN;
      for (int i = 0; i < Math.min(expected.size(), actual.length); i++) {
        difference = Math.max(difference, Math.abs(actual[i] - expected.path(i).asDouble()));
      }
      if (!(difference <= tolerance)) {
        throw new IllegalStateException(
            "embedding of '"
                + entry.path("text").asText()
                + "' differs from the reference by "
                + difference
                + " (expected: at most "
                + tolerance
                + ")");
      }
    }
  }
}
