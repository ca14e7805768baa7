package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DurationsTest {
  /** The text, its milliseconds, and how the duration is written. */
  @ParameterizedTest
  @CsvSource({
    "10m, 600000, 10m",
    "90s, 90000, 1m30s",
    "1h30m, 5400000, 1h30m",
    "500ms, 500, 500ms",
    "2d, 172800000, 2d",
    "1d2h3m4s5ms, 93784005, 1d2h3m4s5ms",
    "1m5ms, 60005, 1m5ms",
    "0s, 0, 0s",
    "0ms, 0, 0s",
    "3650d, 315360000000, 3650d",
    "036h, 129600000, 1d12h"
  })
  void readsAndWritesDurations(String text, long millis, String written) {
    Duration duration = Durations.parse(text);
    assertThat(duration).isEqualTo(Duration.ofMillis(millis));
    assertThat(Durations.text(duration)).isEqualTo(written);
    assertThat(Durations.parse(written)).isEqualTo(duration);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "10",
        "m",
        "10 m",
        "m10",
        "-5m",
        "1.5h",
        "30m1h",
        "5m5m",
        "10M",
        "1y",
        "PT10M",
        "3651d",
        "999999999d",
        "9999999999ms",
        "10m ",
        "١٠m"
      })
  void refusesEverythingElse(String text) {
    assertThatThrownBy(() -> Durations.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(text);
  }

  @Test
  void whatIsShorterThanAMillisecondIsNothing() {
    assertThat(Durations.text(Duration.ofNanos(999_999))).isEqualTo("0s");
  }
}
