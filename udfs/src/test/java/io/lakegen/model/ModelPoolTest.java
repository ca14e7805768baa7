package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ModelPoolTest {
  private final AtomicInteger made = new AtomicInteger();
  private final AtomicInteger closed = new AtomicInteger();

  private final class CountedModel implements AutoCloseable {
    CountedModel() {
      made.incrementAndGet();
    }

    @Override
    public void close() {
      closed.incrementAndGet();
    }
  }

  @BeforeEach
  @AfterEach
  void nothingOpen() {
    ModelPool.closeAll();
    assertThat(ModelPool.open()).isZero();
  }

  @Test
  void manyThreadsShareOneLoad() throws Exception {
    int threads = 16;
    int before = ModelPool.loads();
    CyclicBarrier start = new CyclicBarrier(threads);
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<CountedModel>> futures = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        futures.add(
            pool.submit(
                () -> {
                  start.await();
                  return ModelPool.get("shared", CountedModel.class, CountedModel::new);
                }));
      }
      Set<CountedModel> models = new HashSet<>();
      for (Future<CountedModel> future : futures) {
        models.add(future.get());
      }
      assertThat(models).hasSize(1);
    } finally {
      pool.shutdownNow();
    }
    assertThat(made).hasValue(1);
    assertThat(ModelPool.loads() - before).isEqualTo(1);
    assertThat(ModelPool.open()).isEqualTo(1);
  }

  @Test
  void everyKeyHasItsOwnModel() throws IOException {
    CountedModel a = ModelPool.get("a", CountedModel.class, CountedModel::new);
    CountedModel b = ModelPool.get("b", CountedModel.class, CountedModel::new);
    assertThat(a).isNotSameAs(b);
    assertThat(ModelPool.get("a", CountedModel.class, CountedModel::new)).isSameAs(a);
    assertThat(ModelPool.open()).isEqualTo(2);
  }

  @Test
  void aFailedLoadIsTriedAgain() throws IOException {
    int before = ModelPool.loads();
    assertThatThrownBy(
            () ->
                ModelPool.get(
                    "flaky",
                    CountedModel.class,
                    () -> {
                      throw new IOException("the file system is away");
                    }))
        .isInstanceOf(IOException.class)
        .hasMessage("the file system is away");
    assertThat(ModelPool.loads()).isEqualTo(before);
    assertThat(ModelPool.open()).isZero();

    assertThat(ModelPool.get("flaky", CountedModel.class, CountedModel::new)).isNotNull();
    assertThat(ModelPool.loads()).isEqualTo(before + 1);
  }

  @Test
  void closingClosesAllAndLaterCallersLoadAgain() throws IOException {
    CountedModel first = ModelPool.get("a", CountedModel.class, CountedModel::new);
    ModelPool.get(
        "broken",
        AutoCloseable.class,
        () ->
            () -> {
              throw new IllegalStateException("does not close");
            });
    ModelPool.get("b", CountedModel.class, CountedModel::new);

    ModelPool.closeAll();

    assertThat(closed).hasValue(2);
    assertThat(ModelPool.open()).isZero();
    assertThat(ModelPool.get("a", CountedModel.class, CountedModel::new)).isNotSameAs(first);
    assertThat(ModelPool.open()).isEqualTo(1);
  }
}
