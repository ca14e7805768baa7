package io.lakegen.spark;

import org.apache.spark.SparkContext;

/** How many tasks run at once, and how many threads each may use. */
public final class Cluster {
  private static final String TASK_GPUS = "spark.task.resource.gpu.amount";

  private Cluster() {}

  /** Spark tasks that run at once, as far as the driver can tell. */
  public static int concurrentTasks(SparkContext context) {
    int cores = context.defaultParallelism();
    int ofExecutor = context.getConf().getInt("spark.executor.cores", 0);
    double gpus = context.getConf().getDouble("spark.executor.resource.gpu.amount", 0);
    if (assignsGpus(context) && ofExecutor > 0 && gpus > 0) {
      int byCores = ofExecutor / cpusPerTask(context);
      int byGpus = (int) (gpus / context.getConf().getDouble(TASK_GPUS, 1) + 1e-6);
      return Math.max(1, cores / ofExecutor * Math.min(byCores, byGpus));
    }
    return Math.max(1, cores / cpusPerTask(context));
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
    return context.getConf().getDouble(TASK_GPUS, 0) > 0;
  }

  private static int cpusPerTask(SparkContext context) {
    return context.getConf().getInt("spark.task.cpus", 1);
  }
}
