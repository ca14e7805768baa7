package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.scheduler.HealthTracker;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RetryDefaultsTest {
  private static SparkConf conf(String master, String... settings) {
    SparkConf conf = new SparkConf(false).set("spark.master", master);
    for (String setting : settings) {
      conf.set(setting.replaceAll("=.*", ""), setting.replaceAll(".*=", ""));
    }
    RetryDefaults.set(conf);
    return conf;
  }

  private static List<String> settings(SparkConf conf) {
    return Arrays.stream(conf.getAll()).map(s -> s._1 + "=" + s._2).toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"local", "local[*]", "local[2]", "local[2,3]"})
  void nothingIsSetInLocalMode(String master) {
    assertThat(settings(conf(master))).containsExactly("spark.master=" + master);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"yarn", "spark://host:7077", "k8s://https://host", "local-cluster[2,1,1024]"})
  void aClusterTriesAFailedTaskOnOtherExecutors(String master) {
    assertThat(settings(conf(master)))
        .containsExactlyInAnyOrder(
            "spark.master=" + master,
            "spark.task.maxFailures=8",
            "spark.excludeOnFailure.enabled=true",
            "spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor=2",
            "spark.excludeOnFailure.task.maxTaskAttemptsPerNode=7",
            "spark.excludeOnFailure.stage.maxFailedTasksPerExecutor=4",
            "spark.excludeOnFailure.stage.maxFailedExecutorsPerNode=1000000",
            "spark.excludeOnFailure.application.maxFailedTasksPerExecutor=4",
            "spark.excludeOnFailure.application.maxFailedExecutorsPerNode=1000000");
  }

  @ParameterizedTest
  @CsvSource({"8", "4", "3", "2"})
  void sparkTakesThemWithAnyNumberOfAttempts(String attempts) {
    SparkConf conf = conf("yarn", "spark.task.maxFailures=" + attempts);
    assertThat(HealthTracker.isExcludeOnFailureEnabled(conf)).isTrue();
    // Throws for settings that do not go together.
    HealthTracker.validateExcludeOnFailureConfs(conf);
  }

  @Test
  void whatTheUserSetsStays() {
    assertThat(settings(conf("yarn", "spark.task.maxFailures=1")))
        .containsExactlyInAnyOrder("spark.master=yarn", "spark.task.maxFailures=1");
    SparkConf off = conf("yarn", "spark.excludeOnFailure.enabled=false");
    assertThat(HealthTracker.isExcludeOnFailureEnabled(off)).isFalse();
    assertThat(
            conf("yarn", "spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor=1")
                .get("spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor"))
        .isEqualTo("1");
  }
}
