package io.lakegen.batch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BatchCutsTest {
  /** The costs of every batch's rows. */
  private static List<List<Integer>> cut(long budget, int... costs) {
    BatchCuts cuts = new BatchCuts(costs, 0, budget);
    List<List<Integer>> batches = new ArrayList<>();
    for (int from = 0; from < costs.length; from = cuts.end(from)) {
      batches.add(Arrays.stream(costs, from, cuts.end(from)).boxed().toList());
    }
    return batches;
  }

  @Test
  void rowsThatAreAlikeFillBatches() {
    assertThat(cut(64, IntStream.generate(() -> 8).limit(20).toArray()))
        .extracting(List::size)
        .containsExactly(8, 8, 4);
    assertThat(cut(8)).isEmpty();
  }

  @Test
  void aBatchEndsWherePaddingWouldCostMoreThanAnotherBatch() {
    // A batch costs 2 besides.
    assertThat(cut(128, 20, 19, 19)).containsExactly(List.of(20, 19, 19));
    assertThat(cut(128, 20, 19, 17)).containsExactly(List.of(20, 19), List.of(17));
    // To take the longest row alone leaves two batches, as many as a full first one would.
    assertThat(cut(128, 60, 30, 30, 30, 30)).containsExactly(List.of(60), List.of(30, 30, 30, 30));
  }

  @Test
  void aRowLargerThanTheBudgetGoesAlone() {
    assertThat(cut(10, 40, 11, 5, 5)).containsExactly(List.of(40), List.of(11), List.of(5, 5));
    assertThat(cut(1, 2, 1)).containsExactly(List.of(2), List.of(1));
    assertThat(cut(Long.MAX_VALUE, 3, 2, 1)).containsExactly(List.of(3, 2, 1));
  }

  @Test
  void noCutsCostLess() {
    Random random = new Random(7);
    for (int run = 0; run < 300; run++) {
      int[] costs =
          random.ints(1 + random.nextInt(10), 1, 40).map(c -> -c).sorted().map(c -> -c).toArray();
      long budget = random.nextLong(1, 200);
      List<List<Integer>> batches = cut(budget, costs);
      assertThat(batches.stream().flatMap(List::stream))
          .containsExactlyElementsOf(Arrays.stream(costs).boxed().toList());
      assertThat(batches)
          .allMatch(batch -> batch.size() == 1 || batch.size() * batch.get(0) <= budget);
      long found = batches.stream().mapToLong(batch -> (long) batch.size() * batch.get(0)).sum();
      long overhead = Math.max(1, budget / 64);
      assertThat(found + overhead * batches.size()).isEqualTo(least(costs, budget, overhead));
    }
  }

  /** By trying every set of cuts. */
  private static long least(int[] costs, long budget, long overhead) {
    long least = Long.MAX_VALUE;
    for (int set = 0; set < 1 << (costs.length - 1); set++) {
      long all = 0;
      int from = 0;
      for (int to = 1; to <= costs.length && all >= 0; to++) {
        if (to == costs.length || (set >> (to - 1) & 1) == 1) {
          long padded = (long) (to - from) * costs[from];
          all = to - from > 1 && padded > budget ? Long.MIN_VALUE : all + padded + overhead;
          from = to;
        }
      }
      least = all >= 0 ? Math.min(least, all) : least;
    }
    return least;
  }

  @Test
  void cutsMayBeginAtAnyRow() {
    BatchCuts cuts = new BatchCuts(new int[] {9, 4, 4, 4}, 1, 8);
    assertThat(cuts.end(1)).isEqualTo(3);
    assertThat(cuts.end(3)).isEqualTo(4);
    assertThat(cuts.budget()).isEqualTo(8);
  }
}
