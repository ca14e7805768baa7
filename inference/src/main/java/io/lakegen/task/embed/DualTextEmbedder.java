package io.lakegen.task.embed;

import io.lakegen.encoder.DualSpec;
import io.lakegen.encoder.TextEncoderTask;
import io.lakegen.encoder.TextGraph.Output;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.embed.TextEmbedder.Embedding;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Vectors of texts in the space of a model's images. The graph pools and normalises. */
final class DualTextEmbedder extends TextEncoderTask<Embedding> {
  private final int dimension;

  /** An embedder over a loaded pack, which stays the caller's to close. */
  DualTextEmbedder(LoadedModel model) {
    super(model, "text", List.of("input_ids", "attention_mask"));
    this.dimension = model.pack().spec().section(DualSpec.PACK_TASK, DualSpec::read).dimension();
  }

  @Override
  public Tokens prepare(RowInput row) throws RowException {
    return tokenize(row.text(Embed.TEXT), null);
  }

  @Override
  public List<Embedding> infer(List<Tokens> batch) {
    Output vectors = run(batch);
    if (vectors.values().length != batch.size() * dimension) {
      throw new IllegalStateException(
          "vectors: "
              + vectors.values().length
              + " values (expected: "
              + batch.size() * dimension
              + ", the pack's dimension for each text)");
    }
    List<Embedding> results = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      float[] vector = Arrays.copyOfRange(vectors.values(), i * dimension, (i + 1) * dimension);
      Tokens row = batch.get(i);
      results.add(
          new Embedding(Pooler.requireFinite(vector), row.ids().length, row.truncated(), null));
    }
    return results;
  }

  @Override
  public List<List<Object>> values(Embedding result) {
    return List.of(List.of(result.vector(), result.tokenCount(), result.truncated()));
  }
}
