package io.lakegen.spark.sql;

import static io.lakegen.spark.sql.Plans.alias;
import static io.lakegen.spark.sql.Plans.mapDown;

import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.NamedExpression;
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateExpression;
import org.apache.spark.sql.catalyst.plans.logical.Aggregate;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.Project;

/** Lifts calls that need the groups of an aggregate above it. */
final class CallsOverGroups {
  private CallsOverGroups() {}

  /** Calls over aggregates, or over the keys of groups, come after the aggregation. */
  static LogicalPlan lift(Aggregate aggregate) {
    List<NamedExpression> results = Scala.list(aggregate.aggregateExpressions());
    if (results.stream().noneMatch(e -> isOverGroups((Expression) e, aggregate))) {
      return aggregate;
    }
    List<NamedExpression> above = new ArrayList<>();
    List<NamedExpression> aggregated = new ArrayList<>();
    for (NamedExpression result : results) {
      if (isOverGroups((Expression) result, aggregate)) {
        above.add(
            (NamedExpression)
                mapDown(
                    (Expression) result,
                    e -> {
                      if (!isOfGroup(e, aggregate)) {
                        return null;
                      }
                      NamedExpression column =
                          e instanceof NamedExpression named ? named : alias(e, "aggregate");
                      aggregated.add(column);
                      return column.toAttribute();
                    }));
      } else {
        aggregated.add(result);
        above.add(result.toAttribute());
      }
    }
    return new Project(
        Scala.seq(above),
        new Aggregate(
            aggregate.groupingExpressions(),
            Scala.seq(aggregated),
            aggregate.child(),
            aggregate.hint()));
  }

  private static boolean isOfGroup(Expression expression, Aggregate aggregate) {
    return expression instanceof AggregateExpression || isKey(expression, aggregate);
  }

  private static boolean isKey(Expression expression, Aggregate aggregate) {
    return Scala.<Expression>list(aggregate.groupingExpressions()).stream()
        .anyMatch(g -> g.semanticEquals(expression));
  }

  private static boolean isOverGroups(Expression expression, Aggregate aggregate) {
    if (expression instanceof AggregateExpression) {
      return false;
    }
    if (expression instanceof ModelCall) {
      return !isKey(expression, aggregate)
          && (expression.references().isEmpty() || holdsGroup(expression, aggregate));
    }
    return Scala.<Expression>list(expression.children()).stream()
        .anyMatch(c -> isOverGroups(c, aggregate));
  }

  private static boolean holdsGroup(Expression expression, Aggregate aggregate) {
    return isOfGroup(expression, aggregate)
        || Scala.<Expression>list(expression.children()).stream()
            .anyMatch(c -> holdsGroup(c, aggregate));
  }
}
