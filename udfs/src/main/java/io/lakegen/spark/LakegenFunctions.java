package io.lakegen.spark;

import io.lakegen.Tasks;
import io.lakegen.spark.sql.Functions;
import org.apache.spark.sql.SparkSession;

/** The functions of all tasks in a session that runs already. */
public final class LakegenFunctions {
  private LakegenFunctions() {}

  /**
   * Registers them as temporary functions. {@link LakegenExtensions} does more: permanent views may
   * use its functions, and a call may filter a table by its partition columns.
   */
  public static void register(SparkSession spark) {
    Functions.register((org.apache.spark.sql.classic.SparkSession) spark, Tasks.ALL);
  }
}
