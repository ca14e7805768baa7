package io.lakegen.spark.sql;

import static io.lakegen.spark.sql.Plans.alias;
import static io.lakegen.spark.sql.Plans.and;
import static io.lakegen.spark.sql.Plans.child;
import static io.lakegen.spark.sql.Plans.children;
import static io.lakegen.spark.sql.Plans.expressions;
import static io.lakegen.spark.sql.Plans.hasCall;
import static io.lakegen.spark.sql.Plans.hasCalls;
import static io.lakegen.spark.sql.Plans.innermost;
import static io.lakegen.spark.sql.Plans.map;
import static io.lakegen.spark.sql.Plans.one;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.apache.spark.sql.catalyst.expressions.Alias;
import org.apache.spark.sql.catalyst.expressions.And;
import org.apache.spark.sql.catalyst.expressions.Attribute;
import org.apache.spark.sql.catalyst.expressions.ExprId;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.InputFileBlockLength;
import org.apache.spark.sql.catalyst.expressions.InputFileBlockStart;
import org.apache.spark.sql.catalyst.expressions.InputFileName;
import org.apache.spark.sql.catalyst.expressions.LambdaFunction;
import org.apache.spark.sql.catalyst.expressions.NamedExpression;
import org.apache.spark.sql.catalyst.optimizer.ColumnPruning;
import org.apache.spark.sql.catalyst.plans.Inner$;
import org.apache.spark.sql.catalyst.plans.logical.Aggregate;
import org.apache.spark.sql.catalyst.plans.logical.Filter;
import org.apache.spark.sql.catalyst.plans.logical.GlobalLimit;
import org.apache.spark.sql.catalyst.plans.logical.Join;
import org.apache.spark.sql.catalyst.plans.logical.LocalLimit;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.Offset;
import org.apache.spark.sql.catalyst.plans.logical.Project;
import org.apache.spark.sql.catalyst.plans.logical.Sort;
import org.apache.spark.sql.catalyst.rules.Rule;
import scala.Option;

/**
 * Takes the calls out of a plan's expressions: each becomes a {@link ModelScoring} below the
 * operator that has it, and a column of its result. Equal calls become one. What needs no result
 * goes below the scoring: filters, limits, and the sorting that limits need.
 *
 * <p>Spark does the same for Python's functions with ExtractPythonUDFs. The rule changes nothing in
 * a plan that it has been through.
 */
final class ExtractModelCalls extends Rule<LogicalPlan> {
  @Override
  public LogicalPlan apply(LogicalPlan plan) {
    if (!isNeeded(plan)) {
      return plan;
    }
    // Sources of the second version would read all columns: their pruning came before.
    return ColumnPruning.apply(ParallelSorts.apply(upwards(plan)));
  }

  private static boolean isNeeded(LogicalPlan plan) {
    return expressions(plan).stream().anyMatch(Plans::hasCall)
        || children(plan).stream().anyMatch(ExtractModelCalls::isNeeded);
  }

  private LogicalPlan upwards(LogicalPlan plan) {
    List<LogicalPlan> before = children(plan);
    List<LogicalPlan> after = before.stream().map(this::upwards).toList();
    return rewrite(before.equals(after) ? plan : plan.withNewChildren(Scala.seq(after)));
  }

  private LogicalPlan rewrite(LogicalPlan plan) {
    if (plan instanceof LocalLimit limit) {
      return sink(limit, limit.child(), c -> new LocalLimit(limit.limitExpr(), c));
    }
    if (plan instanceof Offset offset) {
      return sink(offset, offset.child(), c -> new Offset(offset.offsetExpr(), c));
    }
    if (plan instanceof GlobalLimit limit) {
      return sink(limit, limit.child(), c -> new GlobalLimit(limit.limitExpr(), c));
    }
    if (plan instanceof Sort sort && !hasCalls(sort)) {
      LogicalPlan sunk = sink(sort, sort.child(), c -> sort.withNewChildren(one(c)));
      if (sunk != sort) {
        return sunk;
      }
    }
    if (plan instanceof ModelScoring || !hasCalls(plan)) {
      return plan;
    }
    expressions(plan).forEach(e -> refuseLambdas(e, false));
    LogicalPlan named = fileNamesBelow(plan);
    if (named != plan) {
      LogicalPlan rewritten = rewrite(named);
      return rewritten.output().equals(plan.output())
          ? rewritten
          : new Project(Scala.widen(plan.output()), rewritten);
    }
    LogicalPlan guarded = BranchGuards.apply(plan);
    if (guarded instanceof Filter filter) {
      return filter(filter);
    }
    if (guarded instanceof Join join && join.condition().isDefined()) {
      return join(join);
    }
    if (guarded instanceof Aggregate aggregate) {
      LogicalPlan split = CallsOverGroups.lift(aggregate);
      if (split != aggregate) {
        return upwards(split);
      }
    }
    return Scorings.below(guarded);
  }

  /**
   * Functions such as input_file_name() tell what the task reads at the moment; a scoring reads
   * many rows ahead, so that they have to be called below it.
   */
  private static LogicalPlan fileNamesBelow(LogicalPlan plan) {
    List<NamedExpression> made = new ArrayList<>();
    LogicalPlan changed =
        plan.mapExpressions(
            e ->
                map(
                    e,
                    x -> {
                      if (!isFileName(x)) {
                        return x;
                      }
                      Alias alias = alias(x, x.prettyName());
                      made.add(alias);
                      return alias.toAttribute();
                    }));
    if (made.isEmpty() || children(plan).size() != 1) {
      return plan;
    }
    LogicalPlan child = child(plan);
    return changed.withNewChildren(one(new Project(Scala.append(child.output(), made), child)));
  }

  private static boolean isFileName(Expression expression) {
    return expression instanceof InputFileName
        || expression instanceof InputFileBlockStart
        || expression instanceof InputFileBlockLength;
  }

  private static void refuseLambdas(Expression expression, boolean inLambda) {
    if (inLambda && expression instanceof ModelCall call) {
      throw Failures.analysis(
          call.prettyName()
              + ": a call in a lambda function (expected: a call on a column; explode the array,"
              + " call, and collect the results again)");
    }
    Scala.<Expression>list(expression.children())
        .forEach(c -> refuseLambdas(c, inLambda || expression instanceof LambdaFunction));
  }

  // ---- limits and sorts -------------------------------------------------------------------------

  /** Puts an operator that drops or sorts rows, and needs no result, below the scoring. */
  private LogicalPlan sink(LogicalPlan operator, LogicalPlan child, UnaryOperator<LogicalPlan> on) {
    if (child instanceof ModelScoring scoring && isCovered(operator, scoring.child())) {
      LogicalPlan sunk = rewrite(on.apply(scoring.child()));
      return scoring.over(sunk);
    }
    if (child instanceof Project project && project.child() instanceof ModelScoring) {
      LogicalPlan through = substitute(on.apply(project.child()), project);
      LogicalPlan sunk = rewrite(through);
      if (sunk instanceof ModelScoring) {
        return new Project(project.projectList(), sunk);
      }
    }
    return operator;
  }

  /** An operator over a projection's child, its references to the projection's aliases resolved. */
  private static LogicalPlan substitute(LogicalPlan operator, Project project) {
    Map<ExprId, Expression> aliases = new HashMap<>();
    for (NamedExpression e : Scala.<NamedExpression>list(project.projectList())) {
      if (e instanceof Alias alias) {
        aliases.put(alias.exprId(), alias.child());
      }
    }
    LogicalPlan below = child(operator);
    LogicalPlan resolved =
        operator.mapExpressions(
            e -> map(e, x -> x instanceof Attribute a ? aliases.getOrDefault(a.exprId(), x) : x));
    return resolved.withNewChildren(one(below));
  }

  private static boolean isCovered(LogicalPlan operator, LogicalPlan by) {
    return expressions(operator).stream().allMatch(e -> e.references().subsetOf(by.outputSet()));
  }

  // ---- filters and joins ------------------------------------------------------------------------

  /** Conditions without a call come first. */
  private LogicalPlan filter(Filter filter) {
    List<Expression> plain = new ArrayList<>();
    List<Expression> calling = new ArrayList<>();
    split(filter.condition(), plain, calling);
    LogicalPlan below = plain.isEmpty() ? filter.child() : push(and(plain), filter.child());
    return Scorings.below(new Filter(and(calling), below));
  }

  private static LogicalPlan push(Expression condition, LogicalPlan plan) {
    return plan instanceof ModelScoring scoring
            && condition.deterministic()
            && condition.references().subsetOf(scoring.child().outputSet())
        ? scoring.over(push(condition, scoring.child()))
        : new Filter(condition, plan);
  }

  private static void split(
      Expression condition, List<Expression> plain, List<Expression> calling) {
    if (condition instanceof And and) {
      split(and.left(), plain, calling);
      split(and.right(), plain, calling);
    } else {
      (hasCall(condition) ? calling : plain).add(condition);
    }
  }

  /** A call over both sides of an inner join becomes a filter above it. */
  private LogicalPlan join(Join join) {
    List<Expression> plain = new ArrayList<>();
    List<Expression> calling = new ArrayList<>();
    split(join.condition().get(), plain, calling);
    List<Expression> overBoth =
        calling.stream()
            .filter(e -> innermost(e).stream().anyMatch(c -> !isOfOneSide(c, join)))
            .toList();
    if (overBoth.isEmpty()) {
      return Scorings.below(join);
    }
    if (join.joinType() != Inner$.MODULE$) {
      throw Failures.analysis(
          innermost(overBoth.get(0)).get(0).prettyName()
              + ": a call over both sides in the condition of a join of type "
              + join.joinType().sql()
              + " (expected: an inner join, or a call over one side)");
    }
    calling.removeAll(overBoth);
    plain.addAll(calling);
    Join rest =
        new Join(
            join.left(),
            join.right(),
            join.joinType(),
            plain.isEmpty() ? Option.empty() : Option.apply(and(plain)),
            join.hint());
    return filter(new Filter(and(overBoth), rewrite(rest)));
  }

  private static boolean isOfOneSide(ModelCall call, Join join) {
    return call.references().subsetOf(join.left().outputSet())
        || call.references().subsetOf(join.right().outputSet());
  }
}
