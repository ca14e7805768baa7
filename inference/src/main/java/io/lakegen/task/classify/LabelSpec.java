package io.lakegen.task.classify;

import io.lakegen.model.PackSection;
import java.util.List;

/**
 * The section {@code text-classification} or {@code image-classification} of a pack.
 *
 * @param labels one for each logit, in their order
 * @param function makes scores of logits
 */
record LabelSpec(List<String> labels, Function function) {
  LabelSpec {
    labels = List.copyOf(labels);
  }

  /** What Hugging Face's pipeline applies to the logits. */
  enum Function {
    /** One label of several. */
    softmax,
    /** Any number of labels, each by itself. */
    sigmoid,
    /** Regression. */
    none
  }

  static LabelSpec read(PackSection section) {
    section.keys("labels", "function");
    return new LabelSpec(section.list("labels"), section.constant("function", Function.class));
  }

  /**
   * Scores of a row's logits, in the order of the labels.
   *
   * @throws IllegalStateException if a logit is no number
   */
  float[] scores(float[] logits) {
    return scores(function, logits);
  }

  /** Scores of any labels' logits, see {@link #scores(float[])}. */
  static float[] scores(Function function, float[] logits) {
    double largest = Double.NEGATIVE_INFINITY;
    for (float logit : logits) {
      if (Float.isNaN(logit)) {
        throw new IllegalStateException("the model's logits hold NaN (expected: numbers)");
      }
      largest = Math.max(largest, logit);
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - largest);
    }
    float[] scores = new float[logits.length];
    for (int i = 0; i < scores.length; i++) {
      scores[i] =
          switch (function) {
            case softmax -> (float) (Math.exp(logits[i] - largest) / sum);
            case sigmoid -> (float) (1 / (1 + Math.exp(-logits[i])));
            case none -> logits[i];
          };
    }
    return scores;
  }
}
