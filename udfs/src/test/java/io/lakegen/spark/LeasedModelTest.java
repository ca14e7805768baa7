package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import io.lakegen.batch.BatchScorer;
import io.lakegen.batch.BatchTimeoutException;
import io.lakegen.batch.EngineFaultException;
import io.lakegen.batch.ScoringOptions;
import io.lakegen.batch.ScoringStats;
import io.lakegen.batch.Timeouts;
import io.lakegen.model.DeviceFencedException;
import io.lakegen.model.DeviceUse;
import io.lakegen.model.ModelPool;
import io.lakegen.task.Budget;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LeasedModelTest {
  private static final List<Device> TWO_GPUS = List.of(Device.gpu(0), Device.gpu(1));

  private final ModelPool<FakeModel> pool = new ModelPool<>(2);
  private final List<Device> loaded = new ArrayList<>();

  private static final class FakeModel implements AutoCloseable {
    private final Device device;
    private final CountDownLatch closed = new CountDownLatch(1);

    FakeModel(Device device) {
      this.device = device;
    }

    @Override
    public void close() {
      closed.countDown();
    }

    boolean isClosed() {
      return closed.getCount() == 0;
    }
  }

  /** Gives back what it gets; tests override what should go wrong. */
  private static class Echo implements Task<String, String> {
    @Override
    public String prepare(RowInput row) {
      return new String(row.bytes("text"), StandardCharsets.UTF_8);
    }

    @Override
    public int size(String prepared) {
      return 1;
    }

    @Override
    public List<String> infer(List<String> batch) {
      return batch;
    }

    @Override
    public List<List<Object>> values(String result) {
      return List.of(List.of(result));
    }

    @Override
    public void check() throws IOException {}
  }

  private LeasedModel<FakeModel> lease(LeasedModel.DeviceLoader<String, FakeModel> loader)
      throws IOException {
    return LeasedModel.of(
        pool,
        "sha",
        TWO_GPUS,
        () -> "pack",
        (pack, device) -> {
          loaded.add(device);
          return loader.load(pack, device);
        });
  }

  private static BatchScorer<String, String, String> scorer(
      Task<String, String> task, Duration batchTimeout) {
    return new BatchScorer<>(
        List.of("a", "b").iterator(),
        text ->
            RowInput.of(List.of("text"), new byte[][] {text.getBytes(StandardCharsets.UTF_8)}, 0),
        text -> "key-" + text,
        task,
        new ScoringOptions(32, 1 << 20, 1, new Timeouts(batchTimeout, null), "tiny on gpu(0)"),
        new Budget(10),
        new DeviceUse(),
        new ScoringStats());
  }

  @Test
  void aDeviceOnWhichTheModelDoesNotLoadIsFencedAndTheNextOneTaken() throws IOException {
    LeasedModel.DeviceLoader<String, FakeModel> firstIsBroken =
        (pack, device) -> {
          if (device.equals(Device.gpu(0))) {
            throw new IllegalStateException("tiny on gpu(0) answers nonsense");
          }
          return new FakeModel(device);
        };
    try (LeasedModel<FakeModel> leased = lease(firstIsBroken)) {
      assertThat(leased.model().device).isEqualTo(Device.gpu(1));
    }
    lease(firstIsBroken).close();
    assertThat(loaded).containsExactly(Device.gpu(0), Device.gpu(1));
  }

  @Test
  void withoutASoundDeviceTheTaskFailsNowAndAtOnceLater() {
    assertThatThrownBy(
            () ->
                lease(
                    (pack, device) -> {
                      throw new IllegalStateException("nonsense on " + device);
                    }))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("nonsense on gpu(1)")
        .satisfies(e -> assertThat(e.getSuppressed()[0]).hasMessage("nonsense on gpu(0)"));
    assertThatThrownBy(() -> lease((pack, device) -> new FakeModel(device)))
        .isInstanceOf(DeviceFencedException.class)
        .hasMessageStartingWith(
            "device gpu(1): fenced in this executor for model pack sha: nonsense on gpu(1)");
    assertThat(loaded).hasSize(2);
  }

  @Test
  void neitherThePackNorFullMemoryIsTheDevicesFault() throws IOException {
    assertThatThrownBy(
            () ->
                LeasedModel.of(
                    pool,
                    "sha",
                    TWO_GPUS,
                    () -> {
                      throw new IllegalStateException("model pack: digest");
                    },
                    (pack, device) -> new FakeModel(device)))
        .hasMessage("model pack: digest");
    assertThatThrownBy(
            () ->
                lease(
                    (pack, device) -> {
                      throw new IllegalStateException("CUDA out of memory");
                    }))
        .hasMessage("CUDA out of memory");
    assertThatThrownBy(
            () ->
                lease(
                    (pack, device) -> {
                      throw new IOException("no graph");
                    }))
        .hasMessage("no graph");
    lease((pack, device) -> new FakeModel(device)).close();
    assertThat(loaded).containsOnly(Device.gpu(0));
  }

  @Test
  void aTaskThatFailsItsOwnCheckFencesTheDevice() throws IOException {
    LeasedModel<FakeModel> leased = lease((pack, device) -> new FakeModel(device));
    FakeModel model = leased.model();
    assertThatThrownBy(
            () ->
                leased.prove(
                    new Echo() {
                      @Override
                      public void check() {
                        throw new IllegalStateException("golden text 'a' differs");
                      }
                    }))
        .hasMessage("golden text 'a' differs");
    assertThat(model.isClosed()).isFalse();
    leased.close();
    assertThat(model.isClosed()).isTrue();
    assertThat(pool.isFenced(new ModelPool.Key("sha", Device.gpu(0)))).isTrue();
  }

  @Test
  void aCheckThatCannotReadItsFileFencesNothing() throws IOException {
    try (LeasedModel<FakeModel> leased = lease((pack, device) -> new FakeModel(device))) {
      assertThatThrownBy(
              () ->
                  leased.prove(
                      new Echo() {
                        @Override
                        public void check() throws IOException {
                          throw new IOException("golden.json is gone");
                        }
                      }))
          .isInstanceOf(java.io.UncheckedIOException.class)
          .hasMessageContaining("golden.json is gone");
    }
    assertThat(pool.isFenced(new ModelPool.Key("sha", Device.gpu(0)))).isFalse();
  }

  @Test
  void aDeviceThatBreaksUnderTheRowsIsFenced() throws IOException {
    LeasedModel<FakeModel> leased = lease((pack, device) -> new FakeModel(device));
    FakeModel model = leased.model();
    Task<String, String> broken =
        new Echo() {
          @Override
          public List<String> infer(List<String> batch) {
            throw new IllegalStateException("CUDA error: device-side assert triggered");
          }

          @Override
          public void check() {
            throw new IllegalStateException("CUDA error: device-side assert triggered");
          }
        };
    BatchScorer<String, String, String> scorer = scorer(broken, null);
    leased.usedBy(scorer);
    assertThatThrownBy(scorer::hasNext)
        .isInstanceOf(EngineFaultException.class)
        .hasMessageStartingWith("the model fails on its own golden inputs: CUDA error");
    scorer.close();
    leased.close();
    assertThat(model.isClosed()).isTrue();
    try (LeasedModel<FakeModel> next = lease((pack, device) -> new FakeModel(device))) {
      assertThat(next.model().device).isEqualTo(Device.gpu(1));
    }
  }

  @Test
  void aModelIsNotClosedUnderACallThatHangs() throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    LeasedModel<FakeModel> leased = lease((pack, device) -> new FakeModel(device));
    FakeModel model = leased.model();
    BatchScorer<String, String, String> scorer =
        scorer(
            new Echo() {
              @Override
              public List<String> infer(List<String> batch) {
                // Native code does not listen to interrupts.
                while (release.getCount() > 0) {
                  Thread.onSpinWait();
                }
                return batch;
              }
            },
            Duration.ofMillis(20));
    leased.usedBy(scorer);
    try {
      assertThatThrownBy(scorer::hasNext)
          .isInstanceOf(BatchTimeoutException.class)
          .hasMessageMatching(
              "tiny on gpu\\(0\\): a batch of 2 rows \\(cost 2; rows key-a, key-b\\) has been in a"
                  + " device call for \\w+ \\(expected: at most 20ms, see"
                  + " --batch-timeout\\)");
      scorer.close();
      leased.close();
      assertThat(pool.isFenced(new ModelPool.Key("sha", Device.gpu(0)))).isTrue();
      pool.close();
      assertThat(model.isClosed()).isFalse();
    } finally {
      release.countDown();
    }
    // The call came back after all: now nothing runs on the model.
    model.closed.await();
  }
}
