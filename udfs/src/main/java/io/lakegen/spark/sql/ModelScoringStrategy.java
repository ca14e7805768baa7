package io.lakegen.spark.sql;

import java.util.List;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.execution.SparkPlan;
import org.apache.spark.sql.execution.SparkStrategy;
import scala.collection.immutable.Seq;

/** Plans {@link ModelScoring}, and calls that no rule has taken out so far. */
final class ModelScoringStrategy extends SparkStrategy {
  @Override
  public Seq<SparkPlan> apply(LogicalPlan plan) {
    if (plan instanceof ModelScoring scoring) {
      return Scala.seq(
          List.of(
              new ModelScoringExec(scoring.call(), scoring.result(), planLater(scoring.child()))));
    }
    LogicalPlan extracted = new ExtractModelCalls().apply(plan);
    return extracted == plan ? Scala.none() : Scala.seq(List.of(planLater(extracted)));
  }
}
