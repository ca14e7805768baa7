package io.lakegen.spark;

import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPool;

/**
 * The models of this JVM. Spark gives an executor no place of its own for what its tasks share, so
 * the pool is found here; whoever ends the Spark session of the JVM closes it.
 */
public final class ExecutorModels {
  /** Jobs that follow one another, or a query with several models, find theirs loaded. */
  private static final int MODELS_PER_DEVICE = 4;

  private static ModelPool<LoadedModel> pool;

  private ExecutorModels() {}

  /** The pool, made now if need be. */
  public static synchronized ModelPool<LoadedModel> pool() {
    if (pool == null) {
      pool = new ModelPool<>(MODELS_PER_DEVICE);
    }
    return pool;
  }

  /** Closes all models; nothing may be running on them. */
  public static synchronized void close() {
    if (pool != null) {
      pool.close();
      pool = null;
    }
  }
}
