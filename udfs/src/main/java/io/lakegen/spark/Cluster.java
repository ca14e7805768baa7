package io.lakegen.spark;

import org.apache.spark.SparkContext;

/** How many tasks run at once, and how many threads each may use. */
public final class Cluster {
  private Cluster() {}

  /** Spark tasks that run at once, as far as the driver can tell. */
  public static int concurrentTasks(SparkContext context) {
    return Math.max(1, context.defaultParallelism() / cpusPerTask(context));
  }

  /**
   * Threads x concurrent tasks = cores: on one machine the tasks share its processors, elsewhere
   * Spark counts a task's cores.
   */
  public static int threadsPerTask(SparkContext context) {
    return context.isLocal()
        ? Math.max(1, Runtime.getRuntime().availableProcessors() / concurrentTasks(context))
        : cpusPerTask(context);
  }

  /** Whether tasks are given GPUs; without, they cannot know which one is theirs. */
  public static boolean assignsGpus(SparkContext context) {
    return context.getConf().getDouble("spark.task.resource.gpu.amount", 0) > 0;
  }

  private static int cpusPerTask(SparkContext context) {
    return context.getConf().getInt("spark.task.cpus", 1);
  }
}
