package io.lakegen.decode;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import io.lakegen.decode.DecodedSequence.FinishReason;
import java.util.List;

/** Turns generated tokens into text. */
public final class SequenceText {
  private static final char REPLACEMENT = '\uFFFD';

  private SequenceText() {}

  /**
   * The text of a sequence, without special tokens, cut before the first stop text.
   *
   * @param stop the stop texts that the sequence was decoded with
   */
  public static String of(
      DecodedSequence sequence, List<String> stop, HuggingFaceTokenizer tokenizer) {
    String text = tokenizer.decode(sequence.tokens(), true);
    if (sequence.reason() == FinishReason.stop) {
      return text.substring(0, new StoppingCriteria(List.of(), stop, tokenizer).position(text));
    }
    if (sequence.reason() == FinishReason.length) {
      // The last token allowed may be a part of a character, which decodes to a replacement
      // character.
      int end = text.length();
      while (end > 0 && text.charAt(end - 1) == REPLACEMENT) {
        end--;
      }
      return text.substring(0, end);
    }
    return text;
  }
}
