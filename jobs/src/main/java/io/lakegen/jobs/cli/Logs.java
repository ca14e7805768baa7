package io.lakegen.jobs.cli;

import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.core.config.Configurator;

/** How much the driver's log says. */
final class Logs {
  /** Spark, and what it stands on: what concerns a user, their jobs say themselves. */
  private static final String[] NOISY = {
    "org.apache.spark", "org.apache.hadoop", "org.sparkproject"
  };

  private Logs() {}

  /**
   * Sets it.
   *
   * @param verbose whether Spark's own log is wanted. A log that its user has configured stays as
   *     it is
   */
  static void configure(boolean verbose) {
    if (verbose) {
      Configurator.setRootLevel(Level.INFO);
      Configurator.setLevel("io.lakegen", Level.DEBUG);
    } else if (System.getProperty("log4j2.configurationFile") == null
        && System.getProperty("log4j.configurationFile") == null) {
      for (String name : NOISY) {
        Configurator.setLevel(name, Level.ERROR);
      }
      // An attempt of a task that failed is news, even if the next one succeeds.
      Configurator.setLevel("org.apache.spark.scheduler.TaskSetManager", Level.WARN);
    }
  }
}
