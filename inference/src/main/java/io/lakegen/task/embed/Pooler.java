package io.lakegen.task.embed;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;

/**
 * Pools hidden states into one vector; the definitions are those of sentence-transformers' Pooling
 * and Normalize modules.
 */
final class Pooler {
  private final EmbeddingSpec spec;

  Pooler(EmbeddingSpec spec) {
    this.spec = spec;
  }

  /**
   * @param hidden row-major {@code [.., tokens, dimension]}
   * @param offset where the text's first token starts
   * @param tokens tokens that count, at least 1; what follows is padding
   * @throws IllegalStateException if the model gave values that are no finite numbers
   */
  float[] pool(float[] hidden, int offset, int tokens) {
    int dimension = spec.dimension();
    float[] vector = new float[dimension];
    switch (spec.pooling()) {
      case cls -> System.arraycopy(hidden, offset, vector, 0, dimension);
      case lastToken ->
          System.arraycopy(hidden, offset + (tokens - 1) * dimension, vector, 0, dimension);
      case max -> {
        System.arraycopy(hidden, offset, vector, 0, dimension);
        for (int t = 1; t < tokens; t++) {
          for (int d = 0; d < dimension; d++) {
            vector[d] = Math.max(vector[d], hidden[offset + t * dimension + d]);
          }
        }
      }
      case mean -> {
        for (int t = 0; t < tokens; t++) {
          for (int d = 0; d < dimension; d++) {
            vector[d] += hidden[offset + t * dimension + d];
          }
        }
        for (int d = 0; d < dimension; d++) {
          vector[d] /= tokens;
        }
      }
    }
    return finish(vector);
  }

  /**
   * Pools on the device: from a GPU the hidden states would take longer to come than to compute.
   *
   * @param hidden float32 {@code [batch, tokens, dimension]}
   * @param mask int64 {@code [batch, tokens]}, 1 for at least one token of each row, 0 for padding
   * @return {@code [batch, dimension]}, to {@link #finish} one by one
   */
  NDArray pool(NDArray hidden, NDArray mask) {
    Shape shape = hidden.getShape();
    return switch (spec.pooling()) {
      case cls -> hidden.get(new NDIndex(":, 0"));
      case lastToken ->
          hidden
              .gather(
                  mask.sum(new int[] {1})
                      .sub(1)
                      .reshape(shape.get(0), 1, 1)
                      .broadcast(shape.get(0), 1, shape.get(2)),
                  1)
              .squeeze(1);
      case max -> without(hidden, mask, Float.NEGATIVE_INFINITY).max(new int[] {1});
      case mean -> {
        NDArray tokens = mask.sum(new int[] {1}, true).toType(DataType.FLOAT32, false);
        yield without(hidden, mask, 0).sum(new int[] {1}).div(tokens);
      }
    };
  }

  private static NDArray without(NDArray hidden, NDArray mask, float padding) {
    NDArray counts = mask.expandDims(2).gt(0).broadcast(hidden.getShape());
    return NDArrays.where(counts, hidden, hidden.getManager().create(padding));
  }

  /**
   * A pooled vector as the pack wants it, changed in place.
   *
   * @throws IllegalStateException if the model gave values that are no finite numbers
   */
  float[] finish(float[] vector) {
    requireFinite(vector);
    if (spec.normalize()) {
      // PyTorch's functional.normalize divides by max(norm, 1e-12).
      float norm = (float) Math.max(Math.sqrt(squares(vector)), 1e-12);
      for (int d = 0; d < vector.length; d++) {
        vector[d] /= norm;
      }
    }
    return vector;
  }

  /**
   * The vector itself.
   *
   * @throws IllegalStateException if it has values that are no finite numbers
   */
  static float[] requireFinite(float[] vector) {
    if (!Double.isFinite(squares(vector))) {
      throw new IllegalStateException(
          "the model's vector holds NaN or infinity (expected: finite numbers)");
    }
    return vector;
  }

  private static double squares(float[] vector) {
    double squares = 0;
    for (float v : vector) {
      squares += (double) v * v;
    }
    return squares;
  }
}
