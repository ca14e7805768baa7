package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.run.ProgressLine.Sample;
import org.junit.jupiter.api.Test;

class ProgressLineTest {
  private static final int WIDE = 200;

  private final ProgressLine line = new ProgressLine("render");

  @Test
  void theStartIsNoPartOfTheRate() {
    assertThat(line.of(new Sample(30, 100, 0, 0, 0), WIDE)).isEqualTo("render: starting, 30 s");
    assertThat(line.of(new Sample(32, 100, 20, 1, 2), WIDE))
        .isEqualTo("render: 20 of about 100 rows (20 %), 8 s left, 10 rows/s, 1 failed, 2 batches");
  }

  @Test
  void aRowOfMinutesMoves() {
    line.of(new Sample(10, 4, 0, 0, 0), WIDE);
    assertThat(line.of(new Sample(40, 4, 0.25, 0, 0), WIDE))
        .isEqualTo("render: 0.2 of about 4 rows (6 %), 7 min 30 s left, 0.5 rows/min, 0 batches");
    assertThat(line.of(new Sample(70, 4, 0.5, 0, 0), WIDE))
        .startsWith("render: 0.5 of about 4 rows (12 %), 7 min 00 s left");
  }

  @Test
  void theRateIsThatOfTheLastMinute() {
    line.of(new Sample(0, 10_000, 0, 0, 0), WIDE);
    for (int second = 1; second <= 100; second++) {
      line.of(new Sample(second, 10_000, second * 50.0, 0, second), WIDE);
    }
    for (int second = 101; second <= 170; second++) {
      line.of(new Sample(second, 10_000, 5_000 + (second - 100) * 10.0, 0, second), WIDE);
    }
    assertThat(line.of(new Sample(171, 10_000, 5_710, 0, 171), WIDE))
        .isEqualTo(
            "render: 5,710 of about 10,000 rows (57 %), 7 min 09 s left, 10 rows/s, 171 batches");
  }

  @Test
  void moreRowsThanThoughtAreNoMoreThanAll() {
    line.of(new Sample(0, 10, 0, 0, 0), WIDE);
    assertThat(line.of(new Sample(1, 10, 12, 0, 1), WIDE))
        .isEqualTo("render: 12 of about 12 rows (100 %), 0 s left, 12 rows/s, 1 batches");
  }

  @Test
  void aNarrowTerminalGetsTheFirstParts() {
    line.of(new Sample(0, 100, 0, 0, 0), WIDE);
    Sample now = new Sample(2, 100, 20, 0, 2);
    assertThat(line.of(now, 50)).isEqualTo("render: 20 of about 100 rows (20 %), 8 s left");
    assertThat(line.of(now, 20)).isEqualTo("render: 20 of about ");
  }
}
