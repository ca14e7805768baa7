package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class DeviceUseTest {
  private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 5);
  private final DeviceUse use = new DeviceUse(clock::get);

  @Test
  void callsThatOverlapCountOnce() {
    clock.addAndGet(10);
    use.begin();
    clock.addAndGet(3);
    use.begin();
    clock.addAndGet(4);
    use.end();
    clock.addAndGet(5);
    use.end();
    clock.addAndGet(20);
    assertThat(use.busyNanos()).isEqualTo(12);
    use.begin();
    clock.addAndGet(1);
    use.end();
    assertThat(use.busyNanos()).isEqualTo(13);
    assertThat(use.nanos()).isEqualTo(43);
  }

  @Test
  void aCallThatRunsCountsUpToNow() {
    use.begin();
    clock.addAndGet(7);
    assertThat(use.busyNanos()).isEqualTo(7);
    clock.addAndGet(2);
    assertThat(use.busyNanos()).isEqualTo(9).isEqualTo(use.nanos());
  }
}
