package io.lakegen.model;

import ai.djl.Device;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loaded models, one for every pack and device. A model stays loaded between leases, so that Spark
 * tasks and jobs that follow find it warm; where a device would hold more than its limit, the model
 * that nobody has leased for the longest time is closed first. Thread-safe: threads that ask for a
 * model at once wait for a single load; a load that failed is tried again by the next caller,
 * unless the key was {@linkplain #fence fenced}.
 *
 * @param <M> what a model is, once loaded
 */
public final class ModelPool<M extends AutoCloseable> implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(ModelPool.class);

  private final int modelsPerDevice;

  /** In the order of their last use. */
  private final Map<Key, Entry> entries = new LinkedHashMap<>(16, 0.75f, true);

  /** Keys that get no model any more, and why. */
  private final Map<Key, String> fenced = new HashMap<>();

  /** Of each device that had a model, since the first was loaded. */
  private final Map<Device, DeviceUse> uses = new HashMap<>();

  private int loads;

  /**
   * What tells models apart.
   *
   * @param packSha256 see {@link ModelPack#sha256}
   */
  public record Key(String packSha256, Device device) {}

  /** Loads a model. */
  @FunctionalInterface
  public interface Loader<M> {
    /** Called once while the model stays in the pool. */
    M load() throws IOException;
  }

  private final class Entry {
    final Key key;
    int leases;
    M model;

    /** Out of the pool for good: closed as soon as nobody leases it. */
    boolean retired;

    Entry(Key key) {
      this.key = key;
    }
  }

  /** A model in use, which is not closed before the lease is. */
  public final class Lease implements AutoCloseable {
    private final Entry entry;
    private boolean returned;

    private Lease(Entry entry) {
      this.entry = entry;
    }

    /** The model, which the pool closes. */
    public M model() {
      return entry.model;
    }

    /** What all calls on the model's device are to be told to, whichever model they are for. */
    public DeviceUse deviceUse() {
      synchronized (ModelPool.this) {
        return uses.get(entry.key.device());
      }
    }

    /** Gives the model back; further calls do nothing. */
    @Override
    public void close() {
      synchronized (ModelPool.this) {
        if (returned) {
          return;
        }
        returned = true;
      }
      giveBack(entry);
    }
  }

  /**
   * An empty pool.
   *
   * @param modelsPerDevice most models that stay loaded on a device, those in use excepted
   */
  public ModelPool(int modelsPerDevice) {
    this.modelsPerDevice = modelsPerDevice;
  }

  /**
   * Leases the model of a key, which is loaded now if need be.
   *
   * @throws DeviceFencedException if the key is fenced; nothing is loaded then
   */
  public Lease lease(Key key, Loader<M> loader) throws IOException {
    Entry entry;
    List<Entry> idle = List.of();
    synchronized (this) {
      refuseIfFenced(key);
      entry = entries.get(key);
      if (entry == null) {
        // Room is made before the load: the device may not hold one more.
        idle = takeIdle(key.device(), modelsPerDevice - 1);
        entry = new Entry(key);
        entries.put(key, entry);
      }
      entry.leases++;
    }
    idle.forEach(this::close);
    try {
      load(entry, loader);
    } catch (IOException | RuntimeException | Error e) {
      giveBack(entry);
      throw e;
    }
    return new Lease(entry);
  }

  private void load(Entry entry, Loader<M> loader) throws IOException {
    synchronized (entry) {
      // Whoever waited for a load that ended in a fence must not try it again.
      refuseIfFenced(entry.key);
      if (entry.model == null) {
        long start = System.nanoTime();
        entry.model = loader.load();
        LOG.info("loaded {} in {} ms", entry.key, (System.nanoTime() - start) / 1_000_000);
        synchronized (this) {
          loads++;
          uses.computeIfAbsent(entry.key.device(), device -> new DeviceUse());
        }
      }
    }
  }

  private synchronized void refuseIfFenced(Key key) {
    String reason = fenced.get(key);
    if (reason != null) {
      throw new DeviceFencedException(key, reason);
    }
  }

  /**
   * Gives a key no model any more, for as long as this pool lives: its device is broken, or hangs.
   * The model is taken out at once and closed when its last lease is; a call that never returns
   * keeps its lease, so that nothing is closed under it. Of several reasons the first stays. May be
   * called by the loader of this key.
   *
   * @param reason for people, names device and model
   */
  public void fence(Key key, String reason) {
    Entry entry;
    boolean idle;
    synchronized (this) {
      if (fenced.putIfAbsent(key, reason) != null) {
        return;
      }
      entry = entries.remove(key);
      idle = entry != null && retire(entry);
    }
    LOG.error("{} is fenced: {}", key, reason);
    if (idle) {
      close(entry);
    }
  }

  /** Whether {@link #fence} was called for a key. */
  public synchronized boolean isFenced(Key key) {
    return fenced.containsKey(key);
  }

  /** True if nobody leases the entry, which the caller closes then. */
  private boolean retire(Entry entry) {
    entry.retired = true;
    return entry.leases == 0;
  }

  private void giveBack(Entry entry) {
    List<Entry> idle;
    synchronized (this) {
      entry.leases--;
      if (entry.leases == 0 && entry.model == null) {
        entries.remove(entry.key, entry);
      }
      idle = takeIdle(entry.key.device(), modelsPerDevice);
      if (entry.leases == 0 && entry.retired) {
        idle.add(entry);
      }
    }
    idle.forEach(this::close);
  }

  /** Takes out models that nobody uses, the least recently used first, until so many are left. */
  private List<Entry> takeIdle(Device device, int left) {
    List<Entry> ofDevice =
        entries.values().stream().filter(e -> e.key.device().equals(device)).toList();
    List<Entry> taken = new ArrayList<>();
    for (Entry entry : ofDevice) {
      if (ofDevice.size() - taken.size() > left && entry.leases == 0) {
        entries.remove(entry.key);
        taken.add(entry);
      }
    }
    return taken;
  }

  private void close(Entry entry) {
    synchronized (entry) {
      if (entry.model != null) {
        try {
          entry.model.close();
          LOG.info("closed {}", entry.key);
        } catch (Exception e) {
          LOG.warn("{} did not close", entry.key, e);
        }
        entry.model = null;
      }
    }
  }

  /** Models loaded so far. */
  public synchronized int loads() {
    return loads;
  }

  /** Keys that were {@linkplain #fence fenced} so far. */
  public synchronized int fenced() {
    return fenced.size();
  }

  /** Nanoseconds in which devices were busy, summed over them. */
  public synchronized long busyNanos() {
    return uses.values().stream().mapToLong(DeviceUse::busyNanos).sum();
  }

  /**
   * Nanoseconds since each device had its first model, summed over them: at least what {@link
   * #busyNanos} said before.
   */
  public synchronized long deviceNanos() {
    return uses.values().stream().mapToLong(DeviceUse::nanos).sum();
  }

  /** Models in the pool, in use or not. */
  public synchronized int size() {
    return entries.size();
  }

  /** Closes every model; those that are leased, when their last lease is closed. */
  @Override
  public void close() {
    List<Entry> idle;
    synchronized (this) {
      idle = entries.values().stream().filter(this::retire).toList();
      entries.clear();
    }
    idle.forEach(this::close);
  }
}
