package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClusterTest {
  /**
   * Cores in all, cores of an executor (0: not said) and of a task, GPUs of an executor, share of
   * one that a task has, tasks at once.
   */
  @ParameterizedTest
  @CsvSource({
    "8, 4, 1, 1, 0.25, 8",
    "8, 4, 1, 1, 1, 2",
    "8, 4, 1, 2, 1, 4",
    "8, 4, 2, 1, 0.25, 4",
    // A third three times is a whole, rounded or not.
    "6, 6, 1, 1, 0.3333333333333333, 3",
    "8, 4, 1, 2, 0.1, 8",
    "8, 0, 1, 1, 1, 8",
    "8, 4, 1, 0, 0, 8",
    "8, 4, 3, 0, 0, 2",
    "1, 4, 1, 1, 1, 1",
  })
  void tasksAtOnceAreWhatCoresAndGpusAllow(
      int cores, int ofExecutor, int cpus, int gpus, double share, int tasks) {
    SparkConf conf =
        new SparkConf(false)
            .setMaster("local[1]")
            .setAppName("cluster")
            .set("spark.ui.enabled", "false")
            // What a cluster's executors would add up to.
            .set("spark.default.parallelism", Integer.toString(cores));
    SparkContext context = SparkContext.getOrCreate(conf);
    try {
      // Only now: local mode would refuse to start with them.
      context.conf().set("spark.task.cpus", Integer.toString(cpus));
      if (ofExecutor > 0) {
        context.conf().set("spark.executor.cores", Integer.toString(ofExecutor));
      }
      if (gpus > 0) {
        context.conf().set("spark.executor.resource.gpu.amount", Integer.toString(gpus));
        context.conf().set("spark.task.resource.gpu.amount", Double.toString(share));
      }
      assertThat(Cluster.concurrentTasks(context)).isEqualTo(tasks);
    } finally {
      context.stop();
    }
  }
}
