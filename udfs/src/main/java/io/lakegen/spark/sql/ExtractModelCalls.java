package io.lakegen.spark.sql;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.apache.spark.sql.catalyst.expressions.Alias;
import org.apache.spark.sql.catalyst.expressions.And;
import org.apache.spark.sql.catalyst.expressions.Attribute;
import org.apache.spark.sql.catalyst.expressions.AttributeReference;
import org.apache.spark.sql.catalyst.expressions.CaseWhen;
import org.apache.spark.sql.catalyst.expressions.Coalesce;
import org.apache.spark.sql.catalyst.expressions.EqualNullSafe;
import org.apache.spark.sql.catalyst.expressions.ExprId;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.If;
import org.apache.spark.sql.catalyst.expressions.InputFileBlockLength;
import org.apache.spark.sql.catalyst.expressions.InputFileBlockStart;
import org.apache.spark.sql.catalyst.expressions.InputFileName;
import org.apache.spark.sql.catalyst.expressions.IsNull;
import org.apache.spark.sql.catalyst.expressions.LambdaFunction;
import org.apache.spark.sql.catalyst.expressions.Literal;
import org.apache.spark.sql.catalyst.expressions.NamedExpression;
import org.apache.spark.sql.catalyst.expressions.Not;
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateExpression;
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
import org.apache.spark.sql.catalyst.plans.logical.Repartition;
import org.apache.spark.sql.catalyst.plans.logical.RepartitionByExpression;
import org.apache.spark.sql.catalyst.plans.logical.Sort;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.types.Metadata;
import scala.Option;
import scala.collection.immutable.Seq;

/**
 * Takes the calls out of a plan's expressions: each becomes a {@link ModelScoring} below the
 * operator that has it, and a column of its result. Equal calls become one. What needs no result
 * goes below the scoring: filters, limits, and the sorting that limits need.
 *
 * <p>Spark does the same for Python's functions with ExtractPythonUDFs. The rule changes nothing in
 * a plan that it has been through.
 */
final class ExtractModelCalls extends Rule<LogicalPlan> {
  /** Names the columns of inputs that are more than a column themselves. */
  private static final String INPUT = "ai_input";

  private static final int TASKS_PER_CORE = 2;

  @Override
  public LogicalPlan apply(LogicalPlan plan) {
    if (!isNeeded(plan)) {
      return plan;
    }
    // Sources of the second version would read all columns: their pruning came before.
    return ColumnPruning.apply(spreadSorts(upwards(plan), false));
  }

  private static boolean isNeeded(LogicalPlan plan) {
    return expressions(plan).stream().anyMatch(ExtractModelCalls::hasCall)
        || children(plan).stream().anyMatch(ExtractModelCalls::isNeeded);
  }

  /** The expressions in which a call would still have to be taken out. */
  private static List<Expression> expressions(LogicalPlan plan) {
    return plan instanceof ModelScoring scoring
        ? scoring.call().inputs()
        : Scala.list(plan.expressions());
  }

  private static List<LogicalPlan> children(LogicalPlan plan) {
    return Scala.list(plan.children());
  }

  private static LogicalPlan child(LogicalPlan plan) {
    return plan.children().apply(0);
  }

  private static boolean hasCall(Expression expression) {
    return expression instanceof ModelCall
        || Scala.<Expression>list(expression.children()).stream()
            .anyMatch(ExtractModelCalls::hasCall);
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
      LogicalPlan split = aggregate(aggregate);
      if (split != aggregate) {
        return upwards(split);
      }
    }
    return extract(guarded);
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

  private static boolean hasCalls(LogicalPlan plan) {
    return expressions(plan).stream().anyMatch(ExtractModelCalls::hasCall);
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

  private static int tasks() {
    return SparkSession.active().sparkContext().defaultParallelism() * TASKS_PER_CORE;
  }

  /**
   * To sort by a result over several partitions Spark runs what is below twice, once for a sample
   * of the keys. A shuffle between keeps the results. Under a limit Spark takes no sample.
   */
  private static LogicalPlan spreadSorts(LogicalPlan plan, boolean isLimited) {
    boolean limits = plan instanceof GlobalLimit || plan instanceof LocalLimit;
    boolean passes = plan instanceof Project || plan instanceof Offset;
    List<LogicalPlan> children =
        children(plan).stream().map(c -> spreadSorts(c, limits || (passes && isLimited))).toList();
    LogicalPlan same =
        children.equals(children(plan)) ? plan : plan.withNewChildren(Scala.seq(children));
    if (same instanceof Sort sort && sort.global() && !isLimited && scores(sort.child())) {
      return sort.withNewChildren(one(new Repartition(tasks(), true, sort.child())));
    }
    return same;
  }

  /** Whether rows are scored between here and the shuffle below. */
  private static boolean scores(LogicalPlan plan) {
    return plan instanceof ModelScoring
        || ((plan instanceof Project || plan instanceof Filter) && scores(child(plan)));
  }

  // ---- filters and joins ------------------------------------------------------------------------

  /** Conditions without a call come first. */
  private LogicalPlan filter(Filter filter) {
    List<Expression> plain = new ArrayList<>();
    List<Expression> calling = new ArrayList<>();
    split(filter.condition(), plain, calling);
    LogicalPlan below = plain.isEmpty() ? filter.child() : push(and(plain), filter.child());
    return extract(new Filter(and(calling), below));
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

  private static Expression and(List<Expression> conditions) {
    return conditions.stream().reduce(And::new).orElseThrow();
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
      return extract(join);
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

  // ---- aggregates -------------------------------------------------------------------------------

  /** Calls over aggregates, or over the keys of groups, come after the aggregation. */
  private static LogicalPlan aggregate(Aggregate aggregate) {
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

  // ---- taking out -------------------------------------------------------------------------------

  /** Puts a scoring below an operator for each call in it that no scoring below makes already. */
  private LogicalPlan extract(LogicalPlan plan) {
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
          Attribute result = find(scored, call.getKey());
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
    LogicalPlan extracted = extract(replaced);
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
      return original(scoring).equals(call) ? scoring.result() : find(scoring.child(), call);
    }
    boolean keepsRows =
        plan instanceof Filter
            || plan instanceof Sort
            || plan instanceof Repartition
            || plan instanceof RepartitionByExpression
            || plan instanceof LocalLimit
            || plan instanceof GlobalLimit
            || (plan instanceof Project project && hasOnlyColumns(project));
    return keepsRows ? find(child(plan), call) : null;
  }

  private static boolean hasOnlyColumns(Project project) {
    return Scala.<NamedExpression>list(project.projectList()).stream()
        .allMatch(e -> e instanceof Attribute || (e instanceof Alias a && a.name().equals(INPUT)));
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

  /** The calls of an expression that have no call for an input. */
  private static List<ModelCall> innermost(Expression expression) {
    List<ModelCall> calls = new ArrayList<>();
    Scala.<Expression>list(expression.children()).forEach(c -> calls.addAll(innermost(c)));
    if (calls.isEmpty() && expression instanceof ModelCall call) {
      calls.add(call);
    }
    return calls;
  }

  private static Alias alias(Expression expression, String name) {
    return new Alias(
        expression, name, NamedExpression.newExprId(), Scala.none(), Option.empty(), Scala.none());
  }

  private static <T> Seq<T> one(T item) {
    return Scala.seq(List.of(item));
  }

  private static Expression map(Expression expression, UnaryOperator<Expression> change) {
    List<Expression> before = Scala.list(expression.children());
    List<Expression> after = before.stream().map(c -> map(c, change)).toList();
    return change.apply(
        before.equals(after) ? expression : expression.withNewChildren(Scala.seq(after)));
  }

  /** Like {@link #map}, but what was changed is not looked into; null changes nothing. */
  private static Expression mapDown(Expression expression, UnaryOperator<Expression> change) {
    Expression changed = change.apply(expression);
    if (changed != null) {
      return changed;
    }
    List<Expression> before = Scala.list(expression.children());
    List<Expression> after = before.stream().map(c -> mapDown(c, change)).toList();
    return before.equals(after) ? expression : expression.withNewChildren(Scala.seq(after));
  }

  /** Makes calls in branches depend on their conditions. */
  private static final class BranchGuards {
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
            otherwise.isEmpty()
                ? otherwise
                : Option.apply(guard(otherwise.get(), reached, always)));
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
}
