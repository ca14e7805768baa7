package io.lakegen.spark;

import io.lakegen.Tasks;
import io.lakegen.spark.sql.Functions;
import org.apache.spark.sql.SparkSessionExtensions;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/**
 * The functions of all tasks, such as {@code ai_embed}, for every session: {@code
 * spark.sql.extensions=io.lakegen.spark.LakegenExtensions}.
 */
public final class LakegenExtensions extends AbstractFunction1<SparkSessionExtensions, BoxedUnit> {
  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    Functions.inject(extensions, Tasks.ALL);
    return BoxedUnit.UNIT;
  }
}
