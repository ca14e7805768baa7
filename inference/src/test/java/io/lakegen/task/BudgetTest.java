package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.Test;

class BudgetTest {
  private static final Budget.Unit UNIT =
      new Budget.Unit("tokens", 200, 5_000, List.of(100L, 200L, 400L));

  /** Runs batches, each as large as the budget, until the budget stays. Gives their sizes. */
  private static List<Long> run(Budget budget, LongUnaryOperator nanosOfToken) {
    List<Long> batches = new ArrayList<>();
    while (budget.toString().equals("to be measured")) {
      long size = budget.current();
      batches.add(size);
      budget.ran(size, size, size * nanosOfToken.applyAsLong(size));
    }
    return batches;
  }

  @Test
  void theFastestStays() {
    for (long fastest : UNIT.tried()) {
      Budget budget = UNIT.budget(Device.cpu(), 1);
      run(budget, size -> size == fastest ? 90 : 100);
      assertThat(budget).hasToString(Long.toString(fastest));
      budget.ran(fastest, 1_000_000, 1L << 40);
      assertThat(budget.current()).isEqualTo(fastest);
    }
  }

  @Test
  void theDefaultStaysUnlessAnotherIsClearlyFaster() {
    Budget budget = UNIT.budget(Device.cpu(), 1);
    run(budget, size -> size == 200 ? 1_000 : 960);
    assertThat(budget.current()).isEqualTo(200);
  }

  @Test
  void candidatesTakeTurnsUpwardsAndDownwards() {
    List<Long> batches = run(UNIT.budget(Device.cpu(), 1), size -> 100);
    assertThat(batches.stream().mapToLong(size -> size).sum()).isEqualTo(5 * 3 * 400);
    assertThat(batches.subList(0, 14))
        .containsExactly(
            100L, 100L, 100L, 100L, 200L, 200L, 400L, 400L, 200L, 200L, 100L, 100L, 100L, 100L);
  }

  @Test
  void whatIsAlwaysSlowerThanTheLeaderGetsNoFurtherTurns() {
    List<Long> batches = run(UNIT.budget(Device.cpu(), 1), size -> size == 400 ? 120 : 100);
    assertThat(batches).filteredOn(size -> size == 400).hasSize(3);
    assertThat(batches.stream().mapToLong(size -> size).sum()).isEqualTo((5 + 5 + 3) * 400);
    List<Long> clear = run(UNIT.budget(Device.cpu(), 1), size -> size);
    assertThat(clear.stream().mapToLong(size -> size).sum()).isEqualTo(3 * 3 * 400);
  }

  @Test
  void whatWarmsUpAndASinglePauseDecideNothing() {
    Budget budget = UNIT.budget(Device.cpu(), 1);
    int[] calls = {0};
    run(
        budget,
        size -> {
          calls[0]++;
          // The first turns are slow, most of all the best one's; later the machine stops once.
          return calls[0] <= 7 ? 10_000 : calls[0] == 11 ? 1_000_000 : size == 100 ? 80 : 100;
        });
    assertThat(budget.current()).isEqualTo(100);
  }

  @Test
  void batchesOfOtherTurnsDoNotCount() {
    Budget budget = UNIT.budget(Device.cpu(), 1);
    for (int i = 0; i < 1000; i++) {
      budget.ran(200, 10_000, 1);
    }
    assertThat(budget.current()).isEqualTo(100);
    assertThat(budget).hasToString("to be measured");
  }

  @Test
  void outOfMemoryEndsTheTrialAndCapsWhatIsLeft() {
    Budget budget = UNIT.budget(Device.cpu(), 1);
    budget.exceeded(360);
    assertThat(budget).hasToString("180");
    budget.exceeded(1_000);
    assertThat(budget.current()).isEqualTo(180);
    Budget decided = UNIT.budget(Device.cpu(), 1);
    run(decided, size -> size == 400 ? 10 : 100);
    decided.exceeded(400);
    assertThat(decided.current()).isEqualTo(200);
  }

  @Test
  void onlyCpusAreMeasured() {
    assertThat(UNIT.budget(Device.gpu(), 1)).hasToString("5000");
    assertThat(new Budget.Unit("rows", 16, 128).budget(Device.cpu(), 1)).hasToString("16");
    assertThat(new Budget.Unit("rows", 16, 128).or(UNIT).tried()).isEmpty();
    assertThat(UNIT.or(new Budget.Unit("rows", 16, 128)).tried()).isEqualTo(UNIT.tried());
  }

  @Test
  void oneThreadIsTimedByTheProcessorThatItHad() throws InterruptedException {
    Budget one = UNIT.budget(Device.cpu(), 1);
    Budget two = UNIT.budget(Device.cpu(), 2);
    long ofOne = one.now();
    long ofTwo = two.now();
    Thread.sleep(200);
    assertThat(one.now() - ofOne).isBetween(0L, 100_000_000L);
    assertThat(two.now() - ofTwo).isGreaterThan(100_000_000L);
  }

  @Test
  void whatTheUserNamesIsNotMeasured() {
    Budget budget = new Budget(7);
    assertThat(budget).hasToString("7");
    for (int i = 0; i < 1000; i++) {
      budget.ran(7, 10_000, i);
    }
    assertThat(budget.current()).isEqualTo(7);
  }

  @Test
  void theDefaultIsOneOfThoseThatAreTried() {
    assertThatThrownBy(() -> new Budget.Unit("rows", 16, 128, List.of(8L, 32L)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("cpu: 16 (expected: one of [8, 32])");
  }
}
