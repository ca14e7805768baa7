package io.lakegen.task.embed;

import ai.djl.huggingface.tokenizers.Encoding;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.encoder.TextEncoderTask;
import io.lakegen.encoder.TextEncoderTask.Tokens;
import io.lakegen.encoder.TextGraph.Output;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Sentence embeddings: one vector a text, pooled and normalised as sentence-transformers does it.
 */
public final class TextEmbedder extends TextEncoderTask<TextEmbedder.Embedding> {
  private final EmbeddingSpec embedding;
  private final boolean showsAttention;

  /**
   * A text's vector.
   *
   * @param vector {@code dimension} values of the pack
   * @param tokenCount tokens the model read, special tokens included
   * @param truncated whether the text was longer
   * @param attention if it is shown, else null
   */
  public record Embedding(float[] vector, int tokenCount, boolean truncated, Attention attention) {}

  /**
   * What the tokens of a text look at.
   *
   * @param text the text
   * @param weights of each token for each
   */
  public record Attention(String text, List<float[]> weights) {}

  /** An embedder over a loaded pack, which stays the caller's to close. */
  public TextEmbedder(LoadedModel model) {
    this(model, false);
  }

  /**
   * An embedder over a loaded pack, which stays the caller's to close.
   *
   * @param showsAttention needs a pack with the graph {@code attention}
   */
  TextEmbedder(LoadedModel model, boolean showsAttention) {
    super(model, showsAttention ? "attention" : "model", List.of("input_ids", "attention_mask"));
    this.embedding = model.pack().spec().section(Embed.TEXTS, EmbeddingSpec::read);
    this.showsAttention = showsAttention;
  }

  @Override
  public Tokens prepare(RowInput row) throws RowException {
    return tokenize(row.text(Embed.TEXT), null);
  }

  @Override
  public List<Embedding> infer(List<Tokens> batch) {
    Pooler pooler = new Pooler(embedding);
    // On CPUs a row is pooled by itself, so that its vector does not depend on the padding.
    boolean onDevice = model.device().isGpu();
    Output output = onDevice ? run(batch, pooler::pool) : run(batch);
    int rowSize = embedding.dimension() * (onDevice ? 1 : output.length());
    if (output.values().length != batch.size() * rowSize) {
      throw new IllegalStateException(
          "hidden states: "
              + output.values().length
              + " values (expected: "
              + batch.size() * rowSize
              + ", the pack's dimension for each "
              + (onDevice ? "text)" : "token)"));
    }
    List<Embedding> vectors = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      Tokens row = batch.get(i);
      float[] vector =
          onDevice
              ? pooler.finish(Arrays.copyOfRange(output.values(), i * rowSize, (i + 1) * rowSize))
              : pooler.pool(output.values(), i * rowSize, row.ids().length);
      Attention attention = showsAttention ? attention(output, i, row) : null;
      vectors.add(new Embedding(vector, row.ids().length, row.truncated(), attention));
    }
    return vectors;
  }

  private static Attention attention(Output output, int row, Tokens tokens) {
    float[] weights = output.all().get(1);
    int length = output.length();
    List<float[]> found = new ArrayList<>();
    for (int t = 0; t < tokens.ids().length; t++) {
      int from = (row * length + t) * length;
      found.add(
          Pooler.requireFinite(Arrays.copyOfRange(weights, from, from + tokens.ids().length)));
    }
    return new Attention((String) tokens.source(), found);
  }

  @Override
  public List<List<Object>> values(Embedding result) {
    List<Object> values =
        new ArrayList<>(List.of(result.vector(), result.tokenCount(), result.truncated()));
    if (showsAttention) {
      String text = result.attention().text();
      Encoding encoding = model.encode(text.length(), tokenizer -> tokenizer.encode(text));
      values.add(List.of(encoding.getTokens()));
      values.add(result.attention().weights());
    }
    return List.of(values);
  }

  /**
   * {@inheritDoc} Embeds the golden texts, each alone, so that a wrong pooling is found as well as
   * a wrong graph.
   */
  @Override
  public void check() throws IOException {
    super.check();
    JsonNode golden = new ObjectMapper().readTree(model.pack().file("golden.json").toFile());
    double tolerance = golden.path("tolerance").asDouble();
    for (JsonNode entry : golden.path("embeddings")) {
      String text = entry.path("text").asText();
      float[] actual = embed(text);
      JsonNode expected = entry.path("values");
      double difference = expected.size() == actual.length ? 0 : Double.NaN;
      for (int i = 0; i < Math.min(expected.size(), actual.length); i++) {
        difference = Math.max(difference, Math.abs(actual[i] - expected.path(i).asDouble()));
      }
      if (!(difference <= tolerance)) {
        throw new IllegalStateException(
            "embedding of '"
                + text
                + "' differs from the reference by "
                + difference
                + " (expected: at most "
                + tolerance
                + ")");
      }
    }
  }

  private float[] embed(String text) {
    try {
      return infer(List.of(tokenize(text, null))).get(0).vector();
    } catch (RowException e) {
      throw new IllegalStateException("golden text '" + text + "': " + e.getMessage(), e);
    }
  }
}
