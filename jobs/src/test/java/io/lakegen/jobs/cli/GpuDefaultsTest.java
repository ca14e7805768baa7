package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.spark.SparkConf;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GpuDefaultsTest {
  private static final String TASK = "spark.task.resource.gpu.amount";

  /** GPUs, cores, cores of a task, share of a task. */
  @ParameterizedTest
  @CsvSource({
    "1, 8, 1, 0.125",
    "1, 8, 2, 0.25",
    "2, 8, 1, 0.25",
    "2, 3, 1, 0.5",
    "4, 2, 1, 1",
    "1, 1, 1, 1",
    "2, 0, 1, 1"
  })
  void asManyTasksAsCores(int gpus, int cores, int cpus, String share) {
    SparkConf conf =
        new SparkConf(false)
            .set("spark.executor.resource.gpu.amount", Integer.toString(gpus))
            .set("spark.task.cpus", Integer.toString(cpus));
    if (cores > 0) {
      conf.set("spark.executor.cores", Integer.toString(cores));
    }
    GpuDefaults.set(conf);
    assertThat(conf.get(TASK)).isEqualTo(share);
  }

  @Test
  void whatTheUserSaysStays() {
    SparkConf conf =
        new SparkConf(false).set("spark.executor.resource.gpu.amount", "1").set(TASK, "0.5");
    GpuDefaults.set(conf);
    assertThat(conf.get(TASK)).isEqualTo("0.5");
    SparkConf none = new SparkConf(false);
    GpuDefaults.set(none);
    assertThat(none.contains(TASK)).isFalse();
  }
}
