package io.lakegen.task.answer;

import io.lakegen.task.answer.Windows.Window;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.PriorityQueue;

/**
 * The best spans of one window, as {@code select_starts_ends} and {@code decode_spans} of
 * transformers' {@code QuestionAnsweringPipeline} find them: logits become probabilities over the
 * context's tokens and the class token, and a span's score is the product of its ends'.
 *
 * @param best spans in the order of their scores
 * @param noAnswer score of the class token as start and end
 */
record Spans(List<Span> best, double noAnswer) {

  /**
   * A span of tokens.
   *
   * @param first token of the whole pair
   * @param last likewise, part of the span
   */
  record Span(int first, int last, float score) {}

  private static final Comparator<Span> BEST_FIRST =
      Comparator.comparing((Span span) -> -span.score())
          .thenComparing(Span::first)
          .thenComparing(Span::last);

  /**
   * Finds them.
   *
   * @param logits holds those of starts from {@code startsAt} on, those of ends from {@code endsAt}
   *     on, one for each token of the window's sequence
   * @param most spans at most
   * @param maxLength tokens of a span at most
   * @throws IllegalStateException if a logit is no number
   */
  static Spans of(
      Windows windows,
      Window window,
      float[] logits,
      int startsAt,
      int endsAt,
      OptionalInt cls,
      int most,
      int maxLength) {
    int tokens = window.to() - window.from();
    int before = windows.context();
    boolean[] counted = new boolean[before + tokens];
    for (int i = 0; i < counted.length; i++) {
      counted[i] = i >= before || (cls.isPresent() && windows.ids()[i] == cls.getAsInt());
    }
    double[] starts = probabilities(logits, startsAt, counted);
    double[] ends = probabilities(logits, endsAt, counted);
    PriorityQueue<Span> best = new PriorityQueue<>(BEST_FIRST.reversed());
    for (int s = before; s < before + tokens; s++) {
      for (int e = s; e < Math.min(s + (long) maxLength, before + tokens); e++) {
        float score = (float) (starts[s] * ends[e]);
        if (score > 0 && (best.size() < most || score > best.peek().score())) {
          int shift = window.from() - before;
          best.add(new Span(s + shift, e + shift, score));
          if (best.size() > most) {
            best.poll();
          }
        }
      }
    }
    List<Span> sorted = new ArrayList<>(best);
    sorted.sort(BEST_FIRST);
    return new Spans(sorted, starts[0] * ends[0]);
  }

  /** Softmax over the tokens that count; 0 for the others. */
  private static double[] probabilities(float[] logits, int offset, boolean[] counted) {
    double largest = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < counted.length; i++) {
      if (Float.isNaN(logits[offset + i])) {
        throw new IllegalStateException("the model's logits hold NaN (expected: numbers)");
      }
      largest = counted[i] ? Math.max(largest, logits[offset + i]) : largest;
    }
    double[] values = new double[counted.length];
    double sum = 0;
    for (int i = 0; i < values.length; i++) {
      values[i] = counted[i] ? Math.exp(logits[offset + i] - largest) : 0;
      sum += values[i];
    }
    for (int i = 0; i < values.length; i++) {
      values[i] /= sum;
    }
    return values;
  }
}
