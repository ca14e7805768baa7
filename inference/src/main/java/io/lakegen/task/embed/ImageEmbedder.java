package io.lakegen.task.embed;

import io.lakegen.encoder.PictureAttention;
import io.lakegen.encoder.PictureTask;
import io.lakegen.model.LoadedModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Vectors of images: of a model for images alone, or for images and texts in one space. The graph
 * pools, and normalises those of the latter.
 */
final class ImageEmbedder extends PictureTask<ImageEmbedder.Embedding> {
  /** Null where attention is not shown. */
  private final PictureAttention attention;

  /**
   * An image's vector.
   *
   * @param vector {@code dimension} values of the pack
   * @param attention if it is shown, the weights of each token for each; else null
   */
  record Embedding(float[] vector, List<float[]> attention) {}

  /**
   * An embedder over a loaded pack, which stays the caller's to close.
   *
   * @param showsAttention needs a pack with the graph {@code attention}
   */
  ImageEmbedder(LoadedModel model, boolean showsAttention) {
    this(model, ImageEmbeddingSpec.of(model.pack().spec()), showsAttention);
  }

  private ImageEmbedder(LoadedModel model, ImageEmbeddingSpec spec, boolean showsAttention) {
    this(model, spec, showsAttention ? spec.attention().orElseThrow() : null);
  }

  private ImageEmbedder(LoadedModel model, ImageEmbeddingSpec spec, PictureAttention attention) {
    super(
        model,
        attention == null ? spec.role() : PictureAttention.ROLE,
        attention == null
            ? new int[] {spec.dimension()}
            : new int[] {
              spec.dimension(), Math.multiplyExact(attention.tokens(), attention.tokens())
            });
    this.attention = attention;
  }

  @Override
  protected Embedding result(List<float[]> outputs) {
    float[] vector = Pooler.requireFinite(outputs.get(0));
    return new Embedding(vector, attention == null ? null : rows(outputs.get(1)));
  }

  private List<float[]> rows(float[] weights) {
    Pooler.requireFinite(weights);
    int tokens = attention.tokens();
    List<float[]> rows = new ArrayList<>(tokens);
    for (int t = 0; t < tokens; t++) {
      rows.add(Arrays.copyOfRange(weights, t * tokens, (t + 1) * tokens));
    }
    return rows;
  }

  @Override
  public List<List<Object>> values(Embedding result) {
    return List.of(
        attention == null
            ? List.of(result.vector())
            : List.of(result.vector(), result.attention(), attention.height(), attention.width()));
  }
}
