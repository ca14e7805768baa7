package io.lakegen.scoring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.task.RowError;
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
  void aBudgetOnlyShrinks() {
    assertThatThrownBy(() -> new BatchBudget(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("batch budget: 0 (expected: 1 or more)");
    BatchBudget budget = new BatchBudget(100);
    budget.tooMuch(60);
    assertThat(budget.current()).isEqualTo(30);
    budget.tooMuch(90);
    assertThat(budget.current()).isEqualTo(30);
    budget.tooMuch(1);
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
