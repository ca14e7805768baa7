package io.lakegen.jobs.cli;

import org.apache.spark.SparkConf;

/**
 * How many tasks share a GPU, where executors have some and the user does not say. Spark itself
 * refuses to start then.
 *
 * <p>Tasks on one GPU share its model, so that more of them cost no memory for weights, while rows
 * are read, prepared and written on all cores of the executor: as many tasks as it has cores.
 */
final class GpuDefaults {
  private static final String EXECUTOR = "spark.executor.resource.gpu.amount";
  private static final String TASK = "spark.task.resource.gpu.amount";

  private GpuDefaults() {}

  /** Sets what is missing. */
  static void set(SparkConf conf) {
    int gpus = conf.getInt(EXECUTOR, 0);
    if (gpus == 0 || conf.contains(TASK)) {
      return;
    }
    // Without the number of cores a standalone executor has all of its worker, whoever that is.
    int cores = conf.getInt("spark.executor.cores", 0);
    int tasks = Math.max(1, cores / conf.getInt("spark.task.cpus", 1));
    int tasksPerGpu = Math.max(1, (tasks + gpus - 1) / gpus);
    conf.set(TASK, tasksPerGpu == 1 ? "1" : Double.toString(1.0 / tasksPerGpu));
  }
}
