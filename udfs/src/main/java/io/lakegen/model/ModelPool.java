package io.lakegen.model;

import java.io.IOException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The models of this JVM, one for every key (pack, device and whatever else makes two models
 * differ). A model stays loaded between Spark tasks and jobs and is closed when the JVM shuts down,
 * or by {@link #closeAll}. Thread-safe: threads that ask for the same key at once wait for a single
 * load; a load that failed is tried again by the next caller.
 */
public final class ModelPool {
  private static final Logger LOG = LoggerFactory.getLogger(ModelPool.class);
  private static final Map<Object, Entry> ENTRIES = new ConcurrentHashMap<>();
  private static final AtomicInteger LOADS = new AtomicInteger();

  static {
    Runtime.getRuntime().addShutdownHook(new Thread(ModelPool::closeAll, "lakegen-model-shutdown"));
  }

  private ModelPool() {}

  /** Makes a model; called once for a key. */
  @FunctionalInterface
  public interface Loader<T extends AutoCloseable> {
    /** Loads the model. */
    T load() throws IOException;
  }

  private static final class Entry {
    private AutoCloseable model;
  }

  /**
   * The model of a key, loaded now if need be. The caller does not close it.
   *
   * @param type what the loader makes; one key always has one type
   */
  public static <T extends AutoCloseable> T get(Object key, Class<T> type, Loader<T> loader)
      throws IOException {
    Entry entry = ENTRIES.computeIfAbsent(key, k -> new Entry());
    synchronized (entry) {
      if (entry.model == null) {
        long start = System.nanoTime();
        entry.model = loader.load();
        LOADS.incrementAndGet();
        LOG.info("loaded {} in {} ms", key, (System.nanoTime() - start) / 1_000_000);
      }
      return type.cast(entry.model);
    }
  }

  /** Models loaded by this JVM so far. */
  public static int loads() {
    return LOADS.get();
  }

  /** Models loaded and not closed. */
  public static int open() {
    int open = 0;
    for (Entry entry : ENTRIES.values()) {
      synchronized (entry) {
        open += entry.model == null ? 0 : 1;
      }
    }
    return open;
  }

  /** Closes every model. Nothing may be running on them. */
  public static void closeAll() {
    for (Entry entry : ENTRIES.values()) {
      synchronized (entry) {
        if (entry.model != null) {
          try {
            entry.model.close();
          } catch (Exception e) {
            LOG.warn("a model did not close", e);
          }
          entry.model = null;
        }
      }
    }
  }
}
