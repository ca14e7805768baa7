package io.lakegen.batch;

/**
 * Where rows sorted by cost, the dearest first, are cut into batches. Each keeps to the budget, but
 * for a row that exceeds it alone. Of all such cuts these cost least, padding and a constant for
 * every batch counted: full batches where rows are alike, smaller ones where they differ.
 */
final class BatchCuts {
  /** What a batch costs besides its rows, as a part of the budget. */
  private static final long OVERHEAD = 64;

  private final long budget;
  private final int[] ends;

  /**
   * Finds the cuts.
   *
   * @param costs descending, each at least 1
   * @param first row to be cut
   * @param budget most that a batch costs, which is its first row's cost for each of its rows
   */
  BatchCuts(int[] costs, int first, long budget) {
    this.budget = budget;
    this.ends = new int[costs.length];
    long overhead = Math.max(1, budget / OVERHEAD);
    // The least that a row costs with all that follow it.
    long[] least = new long[costs.length + 1];
    for (int from = costs.length - 1; from >= first; from--) {
      least[from] = Long.MAX_VALUE;
      for (int to = from + 1; to <= costs.length; to++) {
        long padded = (long) (to - from) * costs[from];
        if (padded > budget && to > from + 1) {
          break;
        }
        long all = padded + overhead + least[to];
        // Of equals the fullest: what is left at the end may wait for further rows.
        if (all <= least[from]) {
          least[from] = all;
          ends[from] = to;
        }
      }
    }
  }

  /** For which they were found. */
  long budget() {
    return budget;
  }

  /** Where the batch ends that begins with a row. */
  int end(int from) {
    return ends[from];
  }
}
