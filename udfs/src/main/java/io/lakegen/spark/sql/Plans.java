package io.lakegen.spark.sql;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.apache.spark.sql.catalyst.expressions.Alias;
import org.apache.spark.sql.catalyst.expressions.And;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.NamedExpression;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import scala.Option;
import scala.collection.immutable.Seq;

/** What the rules for calls ask of plans and expressions. */
final class Plans {
  private Plans() {}

  /** The expressions in which a call would still have to be taken out. */
  static List<Expression> expressions(LogicalPlan plan) {
    return plan instanceof ModelScoring scoring
        ? scoring.call().inputs()
        : Scala.list(plan.expressions());
  }

  static List<LogicalPlan> children(LogicalPlan plan) {
    return Scala.list(plan.children());
  }

  static LogicalPlan child(LogicalPlan plan) {
    return plan.children().apply(0);
  }

  static boolean hasCall(Expression expression) {
    return expression instanceof ModelCall
        || Scala.<Expression>list(expression.children()).stream().anyMatch(Plans::hasCall);
  }

  static boolean hasCalls(LogicalPlan plan) {
    return expressions(plan).stream().anyMatch(Plans::hasCall);
  }

  /** The calls of an expression that have no call for an input. */
  static List<ModelCall> innermost(Expression expression) {
    List<ModelCall> calls = new ArrayList<>();
    Scala.<Expression>list(expression.children()).forEach(c -> calls.addAll(innermost(c)));
    if (calls.isEmpty() && expression instanceof ModelCall call) {
      calls.add(call);
    }
    return calls;
  }

  static Alias alias(Expression expression, String name) {
    return new Alias(
        expression, name, NamedExpression.newExprId(), Scala.none(), Option.empty(), Scala.none());
  }

  static <T> Seq<T> one(T item) {
    return Scala.seq(List.of(item));
  }

  static Expression map(Expression expression, UnaryOperator<Expression> change) {
    List<Expression> before = Scala.list(expression.children());
    List<Expression> after = before.stream().map(c -> map(c, change)).toList();
    return change.apply(
        before.equals(after) ? expression : expression.withNewChildren(Scala.seq(after)));
  }

  /** Like {@link #map}, but what was changed is not looked into; null changes nothing. */
  static Expression mapDown(Expression expression, UnaryOperator<Expression> change) {
    Expression changed = change.apply(expression);
    if (changed != null) {
      return changed;
    }
    List<Expression> before = Scala.list(expression.children());
    List<Expression> after = before.stream().map(c -> mapDown(c, change)).toList();
    return before.equals(after) ? expression : expression.withNewChildren(Scala.seq(after));
  }

  static Expression and(List<Expression> conditions) {
    return conditions.stream().reduce(And::new).orElseThrow();
  }
}
