package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

class ModelPoolTest {
  private static final ModelPool.Key A = new ModelPool.Key("a", Device.cpu());
  private static final ModelPool.Key B = new ModelPool.Key("b", Device.cpu());
  private static final ModelPool.Key C = new ModelPool.Key("c", Device.cpu());

  private final ModelPool<CountedModel> pool = new ModelPool<>(2);

  private static final class CountedModel implements AutoCloseable {
    private boolean closed;

    @Override
    public void close() {
      closed = true;
    }
  }

  private CountedModel use(ModelPool.Key key) throws IOException {
    try (ModelPool<CountedModel>.Lease lease = pool.lease(key, CountedModel::new)) {
      assertThat(lease.model().closed).isFalse();
      return lease.model();
    }
  }

  @Test
  void manyThreadsShareOneLoad() throws Exception {
    int threads = 16;
    CyclicBarrier start = new CyclicBarrier(threads);
    ExecutorService executor = Executors.newFixedThreadPool(threads);
    try {
      List<Future<CountedModel>> futures = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        futures.add(
            executor.submit(
                () -> {
                  start.await();
                  return use(A);
                }));
      }
      Set<CountedModel> models = new HashSet<>();
      for (Future<CountedModel> future : futures) {
        models.add(future.get());
      }
      assertThat(models).hasSize(1);
    } finally {
      executor.shutdownNow();
    }
    assertThat(pool.loads()).isEqualTo(1);
    assertThat(pool.size()).isEqualTo(1);
  }

  @Test
  void everyKeyHasItsOwnModelThatStaysLoaded() throws IOException {
    CountedModel a = use(A);
    assertThat(use(B)).isNotSameAs(a);
    assertThat(use(A)).isSameAs(a);
    assertThat(use(new ModelPool.Key("a", Device.gpu(0)))).isNotSameAs(a);
    assertThat(pool.size()).isEqualTo(3);
    assertThat(pool.loads()).isEqualTo(3);
  }

  @Test
  void theLeastRecentlyUsedModelOfAFullDeviceIsClosed() throws IOException {
    CountedModel a = use(A);
    CountedModel b = use(B);
    use(A);
    use(C);
    assertThat(b.closed).isTrue();
    assertThat(a.closed).isFalse();
    assertThat(use(B)).isNotSameAs(b);
    assertThat(a.closed).isTrue();
    assertThat(pool.size()).isEqualTo(2);
  }

  @Test
  void aModelInUseIsNotClosed() throws IOException {
    ModelPool<CountedModel>.Lease a = pool.lease(A, CountedModel::new);
    ModelPool<CountedModel>.Lease b = pool.lease(B, CountedModel::new);
    ModelPool<CountedModel>.Lease c = pool.lease(C, CountedModel::new);
    assertThat(pool.size()).isEqualTo(3);
    a.close();
    assertThat(a.model()).as("closed, since the device held too many").isNull();
    assertThat(pool.size()).isEqualTo(2);
    a.close();
    b.close();
    c.close();
    assertThat(b.model().closed).isFalse();
    assertThat(c.model().closed).isFalse();
  }

  @Test
  void modelsOfADeviceAreOneUseOfIt() throws IOException {
    ModelPool.Key gpu = new ModelPool.Key("a", Device.gpu(0));
    try (ModelPool<CountedModel>.Lease a = pool.lease(A, CountedModel::new);
        ModelPool<CountedModel>.Lease b = pool.lease(B, CountedModel::new);
        ModelPool<CountedModel>.Lease onGpu = pool.lease(gpu, CountedModel::new)) {
      assertThat(a.deviceUse()).isSameAs(b.deviceUse()).isNotSameAs(onGpu.deviceUse());
      assertThat(pool.busyNanos()).isZero();
      a.deviceUse().begin();
      b.deviceUse().begin();
      b.deviceUse().end();
      a.deviceUse().end();
      assertThat(pool.busyNanos()).isPositive().isLessThanOrEqualTo(pool.deviceNanos());
    }
    use(A);
    pool.close();
    assertThat(pool.deviceNanos()).as("closing models loses no time").isPositive();
  }

  @Test
  void aFailedLoadIsTriedAgain() throws IOException {
    assertThatThrownBy(
            () ->
                pool.lease(
                    A,
                    () -> {
                      throw new IOException("the file system is away");
                    }))
        .isInstanceOf(IOException.class)
        .hasMessage("the file system is away");
    assertThat(pool.loads()).isZero();
    assertThat(pool.deviceNanos()).isZero();
    assertThat(pool.size()).isZero();
    assertThat(use(A)).isNotNull();
    assertThat(pool.loads()).isEqualTo(1);
  }

  @Test
  void closingClosesAllAndLaterCallersLoadAgain() throws IOException {
    ModelPool<AutoCloseable> mixed = new ModelPool<>(3);
    CountedModel model = new CountedModel();
    mixed.lease(A, () -> model).close();
    mixed
        .lease(
            B,
            () ->
                () -> {
                  throw new IllegalStateException("does not close");
                })
        .close();
    mixed.close();
    assertThat(model.closed).isTrue();
    assertThat(mixed.size()).isZero();
    try (ModelPool<AutoCloseable>.Lease again = mixed.lease(A, CountedModel::new)) {
      assertThat(again.model()).isNotSameAs(model);
    }
  }

  @Test
  void aFencedKeyIsNotLoadedAgainAndItsModelIsClosedWithTheLastLease() throws IOException {
    ModelPool<CountedModel>.Lease first = pool.lease(A, CountedModel::new);
    ModelPool<CountedModel>.Lease second = pool.lease(A, CountedModel::new);
    CountedModel model = first.model();
    CountedModel other = use(B);

    pool.fence(A, "tiny on cpu() answers nonsense");
    pool.fence(A, "a later reason");

    assertThat(pool.isFenced(A)).isTrue();
    assertThat(pool.isFenced(B)).isFalse();
    assertThat(pool.size()).isEqualTo(1);
    assertThatThrownBy(() -> pool.lease(A, CountedModel::new))
        .isInstanceOf(DeviceFencedException.class)
        .hasMessage(
            "device cpu(): fenced in this executor for model pack a: tiny on cpu() answers nonsense"
                + " (expected: a sound device; on a cluster Spark tries the rows on another"
                + " executor)");
    assertThat(pool.loads()).isEqualTo(2);

    first.close();
    assertThat(model.closed).as("the second lease is open").isFalse();
    pool.close();
    assertThat(model.closed).as("the second lease is open").isFalse();
    second.close();
    assertThat(model.closed).isTrue();
    assertThat(other.closed).isTrue();
  }

  @Test
  void anIdleModelIsClosedWhenItsKeyIsFencedAndTheSamePackElsewhereIsNot() throws IOException {
    ModelPool.Key elsewhere = new ModelPool.Key("a", Device.gpu(1));
    CountedModel model = use(A);
    pool.fence(A, "broken");
    assertThat(model.closed).isTrue();
    assertThat(use(elsewhere)).isNotNull();
    pool.fence(C, "fenced before it was loaded");
    assertThatThrownBy(() -> use(C))
        .isInstanceOf(DeviceFencedException.class)
        .hasMessageContaining("fenced before it was loaded");
  }

  /** All of them wait for one load, which finds the device broken: one attempt is enough. */
  @Test
  void thoseWhoWaitedForALoadThatEndedInAFenceDoNotTryAgain() throws Exception {
    int threads = 8;
    CyclicBarrier start = new CyclicBarrier(threads);
    ExecutorService executor = Executors.newFixedThreadPool(threads);
    List<String> attempts = java.util.Collections.synchronizedList(new ArrayList<>());
    List<Future<CountedModel>> futures = new ArrayList<>();
    try {
      for (int i = 0; i < threads; i++) {
        futures.add(
            executor.submit(
                () -> {
                  start.await();
                  return pool.lease(
                          A,
                          () -> {
                            attempts.add("load");
                            pool.fence(A, "CUDA error");
                            throw new IllegalStateException("CUDA error");
                          })
                      .model();
                }));
      }
      int fenced = 0;
      for (Future<CountedModel> future : futures) {
        Throwable cause =
            org.assertj.core.api.Assertions.catchThrowableOfType(
                    java.util.concurrent.ExecutionException.class, future::get)
                .getCause();
        assertThat(cause).hasMessageContaining("CUDA error");
        fenced += cause instanceof DeviceFencedException ? 1 : 0;
      }
      assertThat(fenced).isEqualTo(threads - 1);
    } finally {
      executor.shutdownNow();
    }
    assertThat(attempts).hasSize(1);
  }

  @Test
  void closingThePoolSparesModelsInUseUntilTheyAreGivenBack() throws IOException {
    ModelPool<CountedModel>.Lease lease = pool.lease(A, CountedModel::new);
    CountedModel model = lease.model();
    pool.close();
    assertThat(model.closed).isFalse();
    assertThat(pool.size()).isZero();
    lease.close();
    assertThat(model.closed).isTrue();
  }
}
