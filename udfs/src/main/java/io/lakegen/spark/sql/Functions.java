package io.lakegen.spark.sql;

import io.lakegen.task.TaskDefinition;
import java.util.List;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.analysis.FunctionRegistry;
import org.apache.spark.sql.catalyst.analysis.FunctionRegistryBase;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.execution.SparkStrategy;

/** Makes Spark know the functions of tasks. */
public final class Functions {
  private Functions() {}

  /**
   * For every session that is made with these extensions. The functions are built in, not
   * temporary: views may use them.
   */
  public static void inject(SparkSessionExtensions extensions, List<TaskDefinition> tasks) {
    register(FunctionRegistry.builtin(), tasks);
    // Everything was pushed down and collapsed by then; the pruning of partitions comes after.
    extensions.injectPreCBORule(session -> new ExtractModelCalls());
    extensions.injectPlannerStrategy(session -> new ModelScoringStrategy());
  }

  /** For a session that runs already. */
  public static void register(SparkSession session, List<TaskDefinition> tasks) {
    register(session.sessionState().functionRegistry(), tasks);
    List<Rule<LogicalPlan>> rules = Scala.list(session.experimental().extraOptimizations());
    if (rules.stream().noneMatch(ExtractModelCalls.class::isInstance)) {
      session
          .experimental()
          .extraOptimizations_$eq(Scala.append(rulesOf(session), List.of(new ExtractModelCalls())));
      session
          .experimental()
          .extraStrategies_$eq(
              Scala.<SparkStrategy>append(
                  session.experimental().extraStrategies(), List.of(new ModelScoringStrategy())));
    }
  }

  private static scala.collection.immutable.Seq<Rule<LogicalPlan>> rulesOf(SparkSession session) {
    return session.experimental().extraOptimizations();
  }

  private static void register(
      FunctionRegistryBase<Expression> registry, List<TaskDefinition> tasks) {
    tasks.forEach(t -> new ModelFunction(t).register(registry));
    Similarity.register(registry);
  }
}
