package io.lakegen.task.match;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A word of a text: what the tokenizer takes as one before it cuts it into pieces, so that a
 * punctuation mark is often a word of its own.
 *
 * @param text as it stands in the text, without white space around it
 * @param tokens places of its pieces among the tokens
 */
record Word(String text, List<Integer> tokens) {
  Word {
    tokens = List.copyOf(tokens);
  }

  /** The words of a text in their order, without special tokens and those of white space alone. */
  static List<Word> of(String text, Encoding encoding) {
    long[] ids = encoding.getWordIds();
    CharSpan[] spans = encoding.getCharTokenSpans();
    Map<Long, List<Integer>> places = new LinkedHashMap<>();
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] >= 0 && spans[i] != null) {
        places.computeIfAbsent(ids[i], id -> new ArrayList<>()).add(i);
      }
    }
    List<Word> words = new ArrayList<>();
    for (List<Integer> tokens : places.values()) {
      int start = tokens.stream().mapToInt(i -> spans[i].getStart()).min().orElseThrow();
      int end = tokens.stream().mapToInt(i -> spans[i].getEnd()).max().orElseThrow();
      // The tokenizer counts code points.
      String word =
          text.substring(text.offsetByCodePoints(0, start), text.offsetByCodePoints(0, end));
      if (!word.isBlank()) {
        words.add(new Word(word.strip(), tokens));
      }
    }
    return words;
  }
}
