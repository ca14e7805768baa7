package io.lakegen.decode;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import io.lakegen.decode.DecodedSequence.FinishReason;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** Decides whether a token ends its sequence. Thread-safe. */
final class StoppingCriteria {
  private final Set<Long> eos;
  private final List<String> stop;
  private final HuggingFaceTokenizer tokenizer;
  private final int window;

  /**
   * @param tokenizer may be null where there are no stop texts
   */
  StoppingCriteria(List<Integer> eos, List<String> stop, HuggingFaceTokenizer tokenizer) {
    this.eos = eos.stream().map(Integer::longValue).collect(Collectors.toSet());
    this.stop = stop;
    this.tokenizer = tokenizer;
    // Every token holds a byte at least, so a stop text that the newest token completes starts
    // within this many tokens; a few more, because decoders treat a text's first token
    // differently.
    this.window =
        8 + stop.stream().mapToInt(s -> s.getBytes(StandardCharsets.UTF_8).length).max().orElse(0);
  }

  /** Why a row ends with this next token, or null if it goes on. */
  FinishReason reason(DecodeRow row, long token) {
    if (eos.contains(token)) {
      return FinishReason.eos;
    }
    if (!stop.isEmpty() && stops(row, token)) {
      return FinishReason.stop;
    }
    return row.generated() + 1 >= row.group.request.maxNewTokens() ? FinishReason.length : null;
  }

  private boolean stops(DecodeRow row, long token) {
    int count = Math.min(window, row.generated() + 1);
    long[] tail = new long[count];
    for (int i = 0; i < count - 1; i++) {
      tail[i] = row.token(row.size() - count + 1 + i);
    }
    tail[count - 1] = token;
    if (position(tokenizer.decode(tail, true)) < 0) {
      return false;
    }
    long[] all = java.util.Arrays.copyOf(row.newTokens(), row.generated() + 1);
    all[all.length - 1] = token;
    return position(tokenizer.decode(all, true)) >= 0;
  }

  /** Where the first stop text starts, or -1. */
  int position(String text) {
    return stop.stream().mapToInt(text::indexOf).filter(i -> i >= 0).min().orElse(-1);
  }
}
