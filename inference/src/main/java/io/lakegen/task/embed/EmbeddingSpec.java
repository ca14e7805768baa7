package io.lakegen.task.embed;

import io.lakegen.model.PackSection;

/**
 * The section {@code feature-extraction} of a pack: how hidden states become one vector.
 *
 * @param dimension values of a vector
 * @param attention whether the pack has a graph that gives the weights of a layer's attention, too
 */
record EmbeddingSpec(Pooling pooling, boolean normalize, int dimension, boolean attention) {

  /** Pooling over the tokens of a text, as sentence-transformers defines it. */
  enum Pooling {
    mean,
    cls,
    max,
    lastToken
  }

  static EmbeddingSpec read(PackSection section) {
    section.keys("pooling", "normalize", "dimension", "attentionLayer");
    return new EmbeddingSpec(
        section.constant("pooling", Pooling.class),
        section.bool("normalize"),
        section.positive("dimension"),
        section.has("attentionLayer"));
  }
}
