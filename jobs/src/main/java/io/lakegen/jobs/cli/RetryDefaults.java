package io.lakegen.jobs.cli;

import org.apache.spark.SparkConf;

/**
 * How Spark tries failed tasks again on a cluster, where the user says nothing else.
 *
 * <p>An executor whose device is fenced fails every task at once, while sound ones are busy: left
 * to itself Spark would offer it the same task again until no attempt is left. So a task goes to an
 * executor twice at most (twice, as most failures pass and there may be only one executor), an
 * executor that fails four different tasks of a stage gets no more of them, and a task has more
 * attempts than Spark's four. Nodes are never excluded: a device that is broken says nothing of
 * those beside it.
 */
final class RetryDefaults {
  private static final int ATTEMPTS = 8;
  private static final String EXCLUDE = "spark.excludeOnFailure.";
  private static final String NEVER = "1000000";

  private RetryDefaults() {}

  /** Sets what is missing. In local mode there is one executor and one attempt: nothing to set. */
  static void set(SparkConf conf) {
    if (isLocal(conf.get("spark.master"))) {
      return;
    }
    conf.setIfMissing("spark.task.maxFailures", Integer.toString(ATTEMPTS));
    int attempts = conf.getInt("spark.task.maxFailures", ATTEMPTS);
    if (attempts < 2) {
      // Spark refuses to exclude anything where a task has a single attempt.
      return;
    }
    conf.setIfMissing(EXCLUDE + "enabled", "true");
    conf.setIfMissing(EXCLUDE + "task.maxTaskAttemptsPerExecutor", "2");
    // Spark wants fewer than the attempts in all.
    conf.setIfMissing(EXCLUDE + "task.maxTaskAttemptsPerNode", Integer.toString(attempts - 1));
    conf.setIfMissing(EXCLUDE + "stage.maxFailedTasksPerExecutor", "4");
    conf.setIfMissing(EXCLUDE + "stage.maxFailedExecutorsPerNode", NEVER);
    conf.setIfMissing(EXCLUDE + "application.maxFailedTasksPerExecutor", "4");
    conf.setIfMissing(EXCLUDE + "application.maxFailedExecutorsPerNode", NEVER);
  }

  static boolean isLocal(String master) {
    return master.equals("local") || master.startsWith("local[");
  }
}
