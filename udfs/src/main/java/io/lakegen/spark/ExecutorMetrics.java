package io.lakegen.spark;

import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPool;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * What the models of an executor did since it started.
 *
 * @param executor its id
 * @param values by name: the {@linkplain Counter counters} of all its tasks, retried and
 *     speculative ones included, {@code model_loads}, {@code fenced_devices}, and the time in which
 *     its devices were busy ({@code device_busy_nanos}) of that in which they had a model ({@code
 *     device_nanos})
 */
record ExecutorMetrics(String executor, Map<String, Long> values) implements Serializable {
  /** What batches under way are worth so far falls again when they end: nothing to sum or plot. */
  private static final Set<Counter> PUBLISHED =
      EnumSet.complementOf(EnumSet.of(Counter.partialThousandths));

  private static final String MODEL_LOADS = "model_loads";
  private static final String FENCED_DEVICES = "fenced_devices";
  private static final String DEVICE_BUSY = "device_busy_nanos";
  private static final String DEVICES = "device_nanos";

  private static final Map<Counter, Long> COUNTERS = new EnumMap<>(Counter.class);

  /** Names of all values. */
  static List<String> names() {
    List<String> names = new ArrayList<>();
    for (Counter counter : PUBLISHED) {
      names.add(name(counter));
    }
    names.add(MODEL_LOADS);
    names.add(FENCED_DEVICES);
    names.add(DEVICE_BUSY);
    names.add(DEVICES);
    return names;
  }

  /** Counts the work of a task of this JVM. */
  static synchronized void add(Map<Counter, Long> amounts) {
    amounts.forEach((counter, amount) -> COUNTERS.merge(counter, amount, Long::sum));
  }

  /** The values of this JVM. */
  static synchronized ExecutorMetrics now(String executor) {
    Map<String, Long> values = new HashMap<>();
    PUBLISHED.forEach(counter -> values.put(name(counter), COUNTERS.getOrDefault(counter, 0L)));
    ModelPool<LoadedModel> pool = ExecutorModels.pool();
    values.put(MODEL_LOADS, (long) pool.loads());
    values.put(FENCED_DEVICES, (long) pool.fenced());
    // In this order the busy time never exceeds the whole.
    values.put(DEVICE_BUSY, pool.busyNanos());
    values.put(DEVICES, pool.deviceNanos());
    return new ExecutorMetrics(executor, values);
  }

  long value(String name) {
    return values.getOrDefault(name, 0L);
  }

  private static String name(Counter counter) {
    return counter.name().replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
  }
}
