package io.lakegen.batch;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.model.DeviceUse;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class DeviceWatchTest {
  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 5);

  private DeviceWatch watch(Duration limit) {
    return new DeviceWatch("tiny on gpu(1)", limit, new DeviceUse(), nanos::get);
  }

  private void seconds(long count) {
    nanos.addAndGet(Duration.ofSeconds(count).toNanos());
  }

  @Test
  void warnsAfterAMinuteAndAtEachDoubling() {
    DeviceWatch watch = watch(null);
    assertThat(watch.warning()).isEmpty();
    watch.enter(3, 96, () -> "rows a, b, c");
    seconds(59);
    assertThat(watch.warning()).isEmpty();
    seconds(1);
    assertThat(watch.warning())
        .contains(
            "tiny on gpu(1): a batch of 3 rows (cost 96; rows a, b, c) has been in a device call"
                + " for 1m");
    assertThat(watch.warning()).isEmpty();
    seconds(59);
    assertThat(watch.warning()).isEmpty();
    seconds(1);
    assertThat(watch.warning().orElseThrow()).endsWith(" for 2m");
    // Whoever looks late is not told of the doublings that were missed.
    seconds(600);
    assertThat(watch.warning().orElseThrow()).endsWith(" for 12m");
    assertThat(watch.warning()).isEmpty();
    seconds(239);
    assertThat(watch.warning()).isEmpty();
    seconds(1);
    assertThat(watch.warning().orElseThrow()).endsWith(" for 16m");
    assertThat(watch.overdue()).as("there is no limit").isEmpty();
  }

  @Test
  void aCallThatEndedIsForgotten() {
    DeviceWatch watch = watch(Duration.ofSeconds(1));
    watch.enter(1, 1, () -> "rows a");
    watch.leave();
    seconds(100);
    assertThat(watch.warning()).isEmpty();
    assertThat(watch.overdue()).isEmpty();
  }

  @Test
  void beyondTheLimitACallIsOverdue() {
    DeviceWatch watch = watch(Duration.ofSeconds(90));
    watch.enter(1, 7, () -> "rows a");
    seconds(90);
    assertThat(watch.overdue()).isEmpty();
    seconds(1);
    assertThat(watch.overdue().orElseThrow())
        .isInstanceOf(BatchTimeoutException.class)
        .hasMessage(
            "tiny on gpu(1): a batch of 1 row (cost 7; rows a) has been in a device call for 1m31s"
                + " (expected: at most 1m30s, see --batch-timeout)")
        .satisfies(e -> assertThat(e.isOfDevice()).isTrue());
    watch.enterCheck();
    seconds(100);
    assertThat(watch.overdue().orElseThrow())
        .hasMessage(
            "tiny on gpu(1): the golden check has been in a device call for 1m40s (expected: at"
                + " most 1m30s, see --batch-timeout)");
  }

  @Test
  void waitingThreadsLookOftenEnoughForTheLimit() {
    assertThat(watch(null).lookMillis()).isEqualTo(1000);
    assertThat(watch(Duration.ofHours(1)).lookMillis()).isEqualTo(1000);
    assertThat(watch(Duration.ofMillis(400)).lookMillis()).isEqualTo(100);
    assertThat(watch(Duration.ofMillis(1)).lookMillis()).isEqualTo(1);
  }
}
