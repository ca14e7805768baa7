package io.lakegen.spark.sql;

import static io.lakegen.spark.sql.Plans.alias;
import static io.lakegen.spark.sql.Plans.child;
import static io.lakegen.spark.sql.Plans.children;
import static io.lakegen.spark.sql.Plans.expressions;
import static io.lakegen.spark.sql.Plans.innermost;
import static io.lakegen.spark.sql.Plans.map;
import static io.lakegen.spark.sql.Plans.one;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.catalyst.expressions.Alias;
import org.apache.spark.sql.catalyst.expressions.Attribute;
import org.apache.spark.sql.catalyst.expressions.AttributeReference;
import org.apache.spark.sql.catalyst.expressions.ExprId;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.NamedExpression;
import org.apache.spark.sql.catalyst.plans.logical.Filter;
import org.apache.spark.sql.catalyst.plans.logical.GlobalLimit;
import org.apache.spark.sql.catalyst.plans.logical.LocalLimit;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.Project;
import org.apache.spark.sql.catalyst.plans.logical.Repartition;
import org.apache.spark.sql.catalyst.plans.logical.RepartitionByExpression;
import org.apache.spark.sql.catalyst.plans.logical.Sort;
import org.apache.spark.sql.types.Metadata;

/** Puts scorings into a plan, and finds those that it has. */
final class Scorings {
  /** Names the columns of inputs that are more than a column themselves. */
  private static final String INPUT = "ai_input";

  private Scorings() {}

  /** Puts a scoring below an operator for each call in it that no scoring below makes already. */
  static LogicalPlan below(LogicalPlan plan) {
    Map<Expression, ModelCall> calls = new LinkedHashMap<>();
    expressions(plan)
        .forEach(e -> innermost(e).forEach(c -> calls.putIfAbsent(c.canonicalized(), c)));
    if (calls.isEmpty()) {
      return plan;
    }
    Map<Expression, Attribute> results = new HashMap<>();
    List<LogicalPlan> children = new ArrayList<>();
    for (LogicalPlan child : children(plan)) {
      LogicalPlan scored = child;
      for (Map.Entry<Expression, ModelCall> call : calls.entrySet()) {
        if (!results.containsKey(call.getKey())
            && call.getValue().references().subsetOf(child.outputSet())) {
          Attribute result = find(scored, call.getValue());
          if (result == null) {
            result = resultOf(call.getValue());
            scored = score(call.getValue(), result, scored);
          } else {
            scored = expose(scored, result);
          }
          results.put(call.getKey(), result);
        }
      }
      children.add(scored);
    }
    if (results.isEmpty()) {
      return plan;
    }
    LogicalPlan replaced =
        plan.withNewChildren(Scala.seq(children))
            .mapExpressions(
                e ->
                    map(
                        e,
                        x ->
                            x instanceof ModelCall
                                ? results.getOrDefault(x.canonicalized(), null) == null
                                    ? x
                                    : results.get(x.canonicalized())
                                : x));
    // Calls that had a call for an input are innermost now.
    LogicalPlan extracted = below(replaced);
    return extracted.output().equals(plan.output())
        ? extracted
        : new Project(Scala.widen(plan.output()), extracted);
  }

  private static Attribute resultOf(ModelCall call) {
    return new AttributeReference(
        call.prettyName(),
        call.dataType(),
        true,
        Metadata.empty(),
        NamedExpression.newExprId(),
        Scala.none());
  }

  /**
   * Inputs that are no plain columns become columns below: a source whose columns are structs then
   * reads only the fields that are needed.
   */
  private static ModelScoring score(ModelCall call, Attribute result, LogicalPlan child) {
    List<NamedExpression> made = new ArrayList<>();
    List<Expression> inputs = new ArrayList<>();
    for (Expression input : call.inputs()) {
      if (input instanceof Attribute || input.foldable()) {
        inputs.add(input);
      } else {
        Alias alias = alias(input, INPUT);
        made.add(alias);
        inputs.add(alias.toAttribute());
      }
    }
    LogicalPlan below =
        made.isEmpty() ? child : new Project(Scala.append(child.output(), made), child);
    return new ModelScoring(call.withInputs(inputs), result, below);
  }

  /** The column of an equal call's result in or below a plan; null if there is none. */
  private static Attribute find(LogicalPlan plan, Expression call) {
    if (plan instanceof ModelScoring scoring) {
      return original(scoring).equals(call.canonicalized())
          ? scoring.result()
          : find(scoring.child(), call);
    }
    if (plan instanceof Project project) {
      return find(project.child(), resolved(project, call));
    }
    boolean keepsRows =
        plan instanceof Filter
            || plan instanceof Sort
            || plan instanceof Repartition
            || plan instanceof RepartitionByExpression
            || plan instanceof LocalLimit
            || plan instanceof GlobalLimit;
    return keepsRows ? find(child(plan), call) : null;
  }

  /** A call over the columns of a projection's child. */
  private static Expression resolved(Project project, Expression call) {
    Map<ExprId, Expression> made = new HashMap<>();
    for (NamedExpression e : Scala.<NamedExpression>list(project.projectList())) {
      if (e instanceof Alias alias) {
        made.put(alias.exprId(), alias.child());
      }
    }
    return map(call, e -> e instanceof Attribute a ? made.getOrDefault(a.exprId(), e) : e);
  }

  /** A scoring's call with its inputs as they were in the query. */
  private static Expression original(ModelScoring scoring) {
    if (!(scoring.child() instanceof Project project)) {
      return scoring.call().canonicalized();
    }
    Map<ExprId, Expression> made = new HashMap<>();
    for (NamedExpression e : Scala.<NamedExpression>list(project.projectList())) {
      if (e instanceof Alias alias && alias.name().equals(INPUT)) {
        made.put(alias.exprId(), alias.child());
      }
    }
    return map(scoring.call(), e -> e instanceof Attribute a ? made.getOrDefault(a.exprId(), e) : e)
        .canonicalized();
  }

  /** A plan whose output has a column that an operator below it makes. */
  private static LogicalPlan expose(LogicalPlan plan, Attribute column) {
    if (plan.outputSet().contains(column)) {
      return plan;
    }
    LogicalPlan below = expose(child(plan), column);
    return plan instanceof Project project
        ? new Project(Scala.append(project.projectList(), List.of(column)), below)
        : plan.withNewChildren(one(below));
  }
}
