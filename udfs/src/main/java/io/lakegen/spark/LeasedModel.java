package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.batch.BatchScorer;
import io.lakegen.batch.EngineFaultException;
import io.lakegen.model.DeviceFencedException;
import io.lakegen.model.DeviceUse;
import io.lakegen.model.ModelPool;
import io.lakegen.model.OutOfMemory;
import io.lakegen.task.Task;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Spark task's lease of this JVM's model, on the first of the task's devices that can do it. A
 * device on which the model proves broken, or hangs, is fenced: no task of this JVM tries it again.
 * Used by one thread.
 *
 * @param <M> what a model is, once loaded
 */
final class LeasedModel<M extends AutoCloseable> implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LeasedModel.class);

  private final ModelPool<M> pool;
  private final ModelPool.Key key;
  private final ModelPool<M>.Lease lease;
  private BatchScorer<?, ?, ?> scorer;

  /** Fetches a model pack; what goes wrong here is no device's fault. */
  @FunctionalInterface
  interface Fetcher<P> {
    P fetch() throws IOException;
  }

  /**
   * Loads a model and proves it; a runtime exception, out of memory excepted, is the device's
   * fault.
   */
  @FunctionalInterface
  interface DeviceLoader<P, M> {
    M load(P pack, Device device) throws IOException;
  }

  private LeasedModel(ModelPool<M> pool, ModelPool.Key key, ModelPool<M>.Lease lease) {
    this.pool = pool;
    this.key = key;
    this.lease = lease;
  }

  /**
   * Leases a model.
   *
   * @param devices at least one, the one to take first in front
   * @throws DeviceFencedException if all devices were fenced before
   * @throws RuntimeException the last device's, where one that was not fenced before fails now
   */
  static <P, M extends AutoCloseable> LeasedModel<M> of(
      ModelPool<M> pool,
      String packSha256,
      List<Device> devices,
      Fetcher<P> fetcher,
      DeviceLoader<P, M> loader)
      throws IOException {
    RuntimeException failure = null;
    for (Device device : devices) {
      ModelPool.Key key = new ModelPool.Key(packSha256, device);
      try {
        return new LeasedModel<>(
            pool, key, pool.lease(key, () -> load(pool, key, fetcher, loader)));
      } catch (RuntimeException e) {
        if (!pool.isFenced(key)) {
          throw e;
        }
        if (failure != null) {
          e.addSuppressed(failure);
        }
        failure = e;
      }
    }
    throw failure;
  }

  private static <P, M extends AutoCloseable> M load(
      ModelPool<M> pool, ModelPool.Key key, Fetcher<P> fetcher, DeviceLoader<P, M> loader)
      throws IOException {
    P pack = fetcher.fetch();
    try {
      return loader.load(pack, key.device());
    } catch (RuntimeException e) {
      fenceFor(e, pool, key);
      throw e;
    }
  }

  /** Memory may come free again. */
  private static void fenceFor(RuntimeException failure, ModelPool<?> pool, ModelPool.Key key) {
    if (!OutOfMemory.isCauseOf(failure)) {
      pool.fence(key, String.valueOf(failure.getMessage()));
    }
  }

  M model() {
    return lease.model();
  }

  DeviceUse deviceUse() {
    return lease.deviceUse();
  }

  /** Runs a task's own check on the device, which is fenced if the model fails it. */
  void prove(Task<?, ?> task) {
    try {
      task.check();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (RuntimeException e) {
      fenceFor(e, pool, key);
      throw e;
    }
  }

  /** From now on the model is in use for as long as a thread of this scorer may be inside it. */
  void usedBy(BatchScorer<?, ?, ?> user) {
    this.scorer = user;
  }

  /**
   * Gives the model back when nothing runs on it any more: now, since the scorer was closed before,
   * or when a call that hangs comes back. A fault that ended the scorer fences the device.
   */
  @Override
  public void close() {
    if (scorer == null) {
      lease.close();
      return;
    }
    EngineFaultException fault =
        scorer.fault().filter(EngineFaultException::isOfDevice).orElse(null);
    if (fault != null) {
      pool.fence(key, fault.getMessage());
      LOG.debug("why {} is fenced", key, fault);
    }
    scorer.whenStopped(lease::close);
  }
}
