package io.lakegen.spark.sql;

import static io.lakegen.spark.sql.Plans.expressions;
import static io.lakegen.spark.sql.Plans.hasCall;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.spark.sql.catalyst.expressions.And;
import org.apache.spark.sql.catalyst.expressions.CaseWhen;
import org.apache.spark.sql.catalyst.expressions.Coalesce;
import org.apache.spark.sql.catalyst.expressions.EqualNullSafe;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.If;
import org.apache.spark.sql.catalyst.expressions.IsNull;
import org.apache.spark.sql.catalyst.expressions.Literal;
import org.apache.spark.sql.catalyst.expressions.Not;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import scala.Option;

/**
 * Makes calls in the branches of CASE, IF and COALESCE depend on the conditions under which they
 * are reached: {@code f(x)} becomes {@code f(if(condition, x, null))}, and a null is not scored.
 */
final class BranchGuards {
  private BranchGuards() {}

  static LogicalPlan apply(LogicalPlan plan) {
    Set<Expression> always = new HashSet<>();
    expressions(plan).forEach(e -> collectAlways(e, always));
    return plan.mapExpressions(e -> guard(e, null, always));
  }

  /** Calls that are made whatever the branch: a guarded copy of them would be one more. */
  private static void collectAlways(Expression expression, Set<Expression> calls) {
    if (expression instanceof ModelCall) {
      calls.add(expression.canonicalized());
    }
    boolean branches =
        expression instanceof If
            || expression instanceof CaseWhen
            || expression instanceof org.apache.spark.sql.catalyst.expressions.Coalesce;
    List<Expression> children = Scala.list(expression.children());
    (branches ? children.subList(0, 1) : children).forEach(c -> collectAlways(c, calls));
  }

  private static Expression guard(Expression e, Expression when, Set<Expression> always) {
    if (!hasCall(e)) {
      return e;
    }
    if (e instanceof If choice) {
      Expression condition = choice.predicate();
      return new If(
          guard(condition, when, always),
          guard(choice.trueValue(), both(when, condition), always),
          guard(choice.falseValue(), both(when, not(condition)), always));
    }
    if (e instanceof CaseWhen choice) {
      Expression reached = when;
      List<scala.Tuple2<Expression, Expression>> branches = new ArrayList<>();
      for (scala.Tuple2<Expression, Expression> branch :
          Scala.<scala.Tuple2<Expression, Expression>>list(choice.branches())) {
        branches.add(
            new scala.Tuple2<>(
                guard(branch._1(), reached, always),
                guard(branch._2(), both(reached, branch._1()), always)));
        reached = both(reached, not(branch._1()));
      }
      Option<Expression> otherwise = choice.elseValue();
      return new CaseWhen(
          Scala.seq(branches),
          otherwise.isEmpty() ? otherwise : Option.apply(guard(otherwise.get(), reached, always)));
    }
    List<Expression> children = Scala.list(e.children());
    List<Expression> guarded = new ArrayList<>();
    if (e instanceof Coalesce) {
      Expression reached = when;
      for (Expression child : children) {
        guarded.add(guard(child, reached, always));
        reached = both(reached, new IsNull(child));
      }
    } else {
      children.forEach(c -> guarded.add(guard(c, when, always)));
      if (e instanceof ModelCall && when != null && !always.contains(e.canonicalized())) {
        Expression first = guarded.get(0);
        guarded.set(0, new If(when, first, Literal.create(null, first.dataType())));
      }
    }
    return e.withNewChildren(Scala.seq(guarded));
  }

  private static Expression not(Expression condition) {
    return new Not(new EqualNullSafe(condition, Literal.TrueLiteral()));
  }

  /** A condition that holds a call itself would score it to decide whether to score another. */
  private static Expression both(Expression when, Expression condition) {
    if (hasCall(condition) || !condition.deterministic()) {
      return when;
    }
    return when == null ? condition : new And(when, condition);
  }
}
