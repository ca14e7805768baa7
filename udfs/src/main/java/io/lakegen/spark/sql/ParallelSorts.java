package io.lakegen.spark.sql;

import static io.lakegen.spark.sql.Plans.child;
import static io.lakegen.spark.sql.Plans.children;
import static io.lakegen.spark.sql.Plans.expressions;
import static io.lakegen.spark.sql.Plans.one;

import java.util.List;
import org.apache.spark.sql.catalyst.plans.logical.Filter;
import org.apache.spark.sql.catalyst.plans.logical.Generate;
import org.apache.spark.sql.catalyst.plans.logical.GlobalLimit;
import org.apache.spark.sql.catalyst.plans.logical.Join;
import org.apache.spark.sql.catalyst.plans.logical.LocalLimit;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.Offset;
import org.apache.spark.sql.catalyst.plans.logical.Project;
import org.apache.spark.sql.catalyst.plans.logical.Repartition;
import org.apache.spark.sql.catalyst.plans.logical.Sort;
import org.apache.spark.sql.catalyst.plans.logical.Union;
import org.apache.spark.sql.classic.SparkSession;
import scala.Option;

/** Keeps sorting from scoring rows twice, and from scoring them all in one task. */
final class ParallelSorts {
  private static final int TASKS_PER_CORE = 2;

  /** So many sorted rows of a limit may be scored in one task. */
  private static final long FEW = 256;

  private ParallelSorts() {}

  static LogicalPlan apply(LogicalPlan plan) {
    return keepResults(sortAfterwards(plan), false);
  }

  /**
   * What was sorted to be limited lies in one partition, and AQE brings few bytes of sorted rows
   * into few partitions, too. So rows are sorted after they were scored; before that only to take
   * the rows of a limit, which are then spread again unless they are few.
   */
  private static LogicalPlan sortAfterwards(LogicalPlan plan) {
    if (plan instanceof ModelScoring) {
      LogicalPlan sorted = sortedAfterwards(plan);
      if (sorted != null) {
        return sorted;
      }
    }
    List<LogicalPlan> before = children(plan);
    List<LogicalPlan> after = before.stream().map(ParallelSorts::sortAfterwards).toList();
    return before.equals(after) ? plan : plan.withNewChildren(Scala.seq(after));
  }

  /** Null if there is no sort below, or if it is best where it is. */
  private static LogicalPlan sortedAfterwards(LogicalPlan top) {
    LogicalPlan unscored = top;
    while (unscored instanceof ModelScoring || unscored instanceof Project) {
      unscored = child(unscored);
    }
    LogicalPlan below = unscored;
    while (below instanceof GlobalLimit || below instanceof LocalLimit || below instanceof Offset) {
      below = child(below);
    }
    if (!(below instanceof Sort sort)
        || !sort.global()
        || !expressions(sort).stream().allMatch(e -> e.references().subsetOf(top.outputSet()))) {
      return null;
    }
    if (unscored != sort && hasFewRows(unscored)) {
      return null;
    }
    LogicalPlan spread =
        sortAfterwards(unscored == sort ? sort.child() : new Repartition(tasks(), true, unscored));
    return sort.withNewChildren(one(new Repartition(tasks(), true, over(top, unscored, spread))));
  }

  private static boolean hasFewRows(LogicalPlan plan) {
    Option<Object> most = plan.maxRows();
    return most.isDefined() && (Long) most.get() <= FEW;
  }

  private static LogicalPlan over(LogicalPlan plan, LogicalPlan old, LogicalPlan replacement) {
    return plan == old
        ? replacement
        : plan.withNewChildren(one(over(child(plan), old, replacement)));
  }

  private static int tasks() {
    return SparkSession.active().sparkContext().defaultParallelism() * TASKS_PER_CORE;
  }

  /**
   * To sort over several partitions Spark runs what is below twice, once for a sample of the keys.
   * A shuffle between keeps the results. Under a limit Spark takes no sample.
   */
  private static LogicalPlan keepResults(LogicalPlan plan, boolean isLimited) {
    boolean limits = plan instanceof GlobalLimit || plan instanceof LocalLimit;
    boolean passes = plan instanceof Project || plan instanceof Offset;
    List<LogicalPlan> children =
        children(plan).stream().map(c -> keepResults(c, limits || (passes && isLimited))).toList();
    LogicalPlan same =
        children.equals(children(plan)) ? plan : plan.withNewChildren(Scala.seq(children));
    if (same instanceof Sort sort && sort.global() && !isLimited && scores(sort.child())) {
      return sort.withNewChildren(one(new Repartition(tasks(), true, sort.child())));
    }
    return same;
  }

  /** Whether rows are scored between here and the shuffle below. */
  private static boolean scores(LogicalPlan plan) {
    boolean mayHaveNoShuffle =
        plan instanceof Project
            || plan instanceof Filter
            || plan instanceof Generate
            || plan instanceof Join
            || plan instanceof Union;
    return plan instanceof ModelScoring
        || (mayHaveNoShuffle && children(plan).stream().anyMatch(ParallelSorts::scores));
  }
}
