package io.lakegen.task.embed;

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
    requireFinite(vector);
    if (spec.normalize()) {
      // PyTorch's functional.normalize divides by max(norm, 1e-12).
      float norm = (float) Math.max(Math.sqrt(squares(vector)), 1e-12);
      for (int d = 0; d < dimension; d++) {
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
