package io.lakegen.spark.sql;

import io.lakegen.Tasks;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.SparkSessionExtensions;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/** The functions of all tasks, and ai_shout. */
public final class TestExtensions extends AbstractFunction1<SparkSessionExtensions, BoxedUnit> {
  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    List<TaskDefinition> tasks = new ArrayList<>(Tasks.ALL);
    tasks.add(new Shout());
    Functions.inject(extensions, tasks);
    return BoxedUnit.UNIT;
  }
}
