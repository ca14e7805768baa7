package io.lakegen.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.task.Budget;
import io.lakegen.task.RowError;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class ScoringValuesTest {
  @Test
  void optionsBelowOneAreRefused() {
    assertThatThrownBy(() -> new ScoringOptions(0, 1, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("windowRows: 0 (expected: 1 or more)");
    assertThatThrownBy(() -> new ScoringOptions(1, -1, 1))
        .hasMessage("windowBytes: -1 (expected: 1 or more)");
    assertThatThrownBy(() -> new ScoringOptions(1, 1, 0))
        .hasMessage("prepareThreads: 0 (expected: 1 or more)");
  }

  @Test
  void timeLimitsAreAboveZero() {
    assertThat(Timeouts.NONE).isEqualTo(new Timeouts(null, null));
    assertThatThrownBy(() -> new Timeouts(Duration.ZERO, null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("batch-timeout: PT0S (expected: more than 0)");
    assertThatThrownBy(() -> new Timeouts(null, Duration.ofSeconds(-1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("row-timeout: PT-1S (expected: more than 0)");
  }

  @Test
  void aBudgetOnlyShrinks() {
    assertThatThrownBy(() -> new Budget(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("batch-budget: 0 (expected: 1 or more)");
    Budget budget = new Budget(100);
    budget.exceeded(60);
    assertThat(budget.current()).isEqualTo(30);
    budget.exceeded(90);
    assertThat(budget.current()).isEqualTo(30);
    budget.exceeded(1);
    assertThat(budget.current()).isEqualTo(1);
  }

  @Test
  void anOutcomeIsAResultOrAnError() {
    RowError error = new RowError("infer", "engine_error", "no");
    assertThatThrownBy(() -> new Scored<>("a", "A", error))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("exactly one of result and error is expected");
    assertThatThrownBy(() -> new Scored<>("a", null, null))
        .hasMessage("exactly one of result and error is expected");
  }
}
