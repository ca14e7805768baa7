package io.lakegen.task.answer;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import io.lakegen.encoder.TextGraph.Sequence;
import io.lakegen.model.PackSpec;
import io.lakegen.task.RowException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The tokens of a question and its context, and the windows over the context that the model reads
 * one by one, each behind the question: those of a Hugging Face tokenizer that truncates only the
 * second text and gives back what overflows.
 *
 * @param ids of the whole pair, special tokens included
 * @param types likewise, which text a token belongs to
 * @param words likewise, the number of a context's word; below 0 for tokens of no word
 * @param starts likewise, the first character in the context, counted in code points
 * @param ends likewise, the character behind the last
 * @param context place of the context's first token
 * @param contextEnd place behind its last
 * @param places of the windows: the context's tokens in each
 */
record Windows(
    long[] ids,
    long[] types,
    long[] words,
    int[] starts,
    int[] ends,
    int context,
    int contextEnd,
    List<Window> places) {

  /** Longest window of transformers' pipeline, question and special tokens included. */
  private static final int MAX_LENGTH = 384;

  private static final int DEFAULT_STRIDE = 128;

  /** Tokens {@code from} to {@code to - 1} of the whole pair. */
  record Window(int from, int to) {}

  /** Tokens of a window at most, question and special tokens included. */
  static int length(PackSpec.Tokenizer tokenizer) {
    return Math.min(MAX_LENGTH, tokenizer.maxLength());
  }

  /**
   * Cuts.
   *
   * @param pair question and context, not truncated
   * @param length tokens of a window at most
   * @param stride tokens that a window shares with the next; null for the default
   * @throws RowException of type {@code no_tokens} or {@code question_too_long}
   */
  static Windows of(Encoding pair, int length, Integer stride) throws RowException {
    long[] sequences = pair.getSequenceIds();
    int from = 0;
    while (from < sequences.length && sequences[from] != 1) {
      from++;
    }
    int to = from;
    while (to < sequences.length && sequences[to] == 1) {
      to++;
    }
    if (from == to) {
      throw RowException.prepare(
          "no_tokens",
          "the context has no token of the model's vocabulary (expected: at least one)");
    }
    CharSpan[] spans = pair.getCharTokenSpans();
    int[] starts = new int[spans.length];
    int[] ends = new int[spans.length];
    for (int i = from; i < to; i++) {
      starts[i] = spans[i].getStart();
      ends[i] = spans[i].getEnd();
    }
    int room = length - (sequences.length - (to - from));
    int overlap = stride == null ? Math.min(length / 2, DEFAULT_STRIDE) : stride;
    return new Windows(
        pair.getIds(),
        pair.getTypeIds(),
        pair.getWordIds(),
        starts,
        ends,
        from,
        to,
        places(from, to, room, overlap));
  }

  private static List<Window> places(int from, int to, int room, int overlap) throws RowException {
    if (to - from <= room) {
      return List.of(new Window(from, to));
    }
    if (room <= overlap) {
      throw RowException.prepare(
          "question_too_long",
          "the question leaves "
              + Math.max(0, room)
              + " tokens of a window for the context of "
              + (to - from)
              + " (expected: more than doc-stride, "
              + overlap
              + ")");
    }
    List<Window> places = new ArrayList<>();
    for (int start = from; places.isEmpty() || last(places).to() < to; start += room - overlap) {
      places.add(new Window(start, Math.min(start + room, to)));
    }
    return places;
  }

  private static Window last(List<Window> places) {
    return places.get(places.size() - 1);
  }

  /** Tokens of a window with everything around it. */
  int length(Window window) {
    return ids.length - (contextEnd - context) + window.to() - window.from();
  }

  /** What the model reads of a window. */
  Sequence sequence(Window window) {
    return new Sequence(cut(ids, window), cut(types, window));
  }

  private long[] cut(long[] whole, Window window) {
    long[] cut = Arrays.copyOf(whole, length(window));
    int tokens = window.to() - window.from();
    System.arraycopy(whole, window.from(), cut, context, tokens);
    System.arraycopy(whole, contextEnd, cut, context + tokens, whole.length - contextEnd);
    return cut;
  }
}
