package io.lakegen.decode;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * A beginning that several prompts have in common, worth computing once.
 *
 * @param tokens all of it
 * @param parent a shorter one that further prompts share; null if there is none
 * @param order place among the prefixes of its call: those of one parent lie together
 */
record SharedPrefix(long[] tokens, SharedPrefix parent, int order) {
  /** Prompts are fed in steps of so many tokens, so that shapes repeat and round alike. */
  static final int STEP = 8;

  /**
   * Tokens that sharing must save. A prefix costs a call of the model for itself, which reads all
   * weights once: what some tens of tokens cost on a CPU, and some hundreds on a GPU.
   */
  private static final int MIN_SAVED = 256;

  /**
   * Finds the prefixes that prompts share: templates, examples, system prompts. Sorted prompts that
   * share a beginning are neighbours, and the shortest beginning that two neighbours share is
   * shared by all between them. The last token of a prompt is in no prefix: a common step feeds it.
   *
   * @return for every prompt its longest one; null where there is none
   */
  static SharedPrefix[] find(List<long[]> prompts) {
    Integer[] sorted = new Integer[prompts.size()];
    Arrays.setAll(sorted, i -> i);
    Arrays.sort(sorted, Comparator.comparing(prompts::get, Arrays::compare));
    SharedPrefix[] found = new SharedPrefix[sorted.length];
    new Search(prompts, sorted).find(0, sorted.length, null, found);
    return found;
  }

  private static int common(long[] a, long[] b) {
    int different = Arrays.mismatch(a, b);
    int most = Math.min(a.length, b.length) - 1;
    int common = different < 0 ? most : Math.min(most, different);
    return common / STEP * STEP;
  }

  private static final class Search {
    private final List<long[]> prompts;
    private final Integer[] sorted;

    /** Tokens, in whole steps, of each sorted prompt and the one before it. */
    private final int[] common;

    private int made;

    Search(List<long[]> prompts, Integer[] sorted) {
      this.prompts = prompts;
      this.sorted = sorted;
      this.common = new int[sorted.length];
      for (int i = 1; i < sorted.length; i++) {
        common[i] = common(prompts.get(sorted[i - 1]), prompts.get(sorted[i]));
      }
    }

    void find(int from, int to, SharedPrefix parent, SharedPrefix[] found) {
      if (to - from < 2) {
        if (to > from) {
          found[sorted[from]] = parent;
        }
        return;
      }
      int shared = Arrays.stream(common, from + 1, to).min().orElseThrow();
      int before = parent == null ? 0 : parent.tokens.length;
      SharedPrefix here = parent;
      if ((to - from - 1L) * (shared - before) >= MIN_SAVED) {
        long[] tokens = Arrays.copyOf(prompts.get(sorted[from]), shared);
        here = new SharedPrefix(tokens, parent, made++);
      }
      int start = from;
      for (int i = from + 1; i <= to; i++) {
        if (i == to || common[i] == shared) {
          find(start, i, here, found);
          start = i;
        }
      }
    }
  }
}
