package io.lakegen.spark.sql;

import java.io.Serializable;
import java.util.List;
import java.util.Objects;
import org.apache.spark.sql.catalyst.expressions.Attribute;
import org.apache.spark.sql.catalyst.expressions.AttributeSet;
import org.apache.spark.sql.catalyst.expressions.AttributeSet$;
import org.apache.spark.sql.catalyst.expressions.ExpressionSet;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.UnaryNode;
import scala.Option;
import scala.collection.immutable.IndexedSeq;
import scala.collection.immutable.Seq;

/** The child's columns and the result of a call. Public for Spark, which makes copies of it. */
public final class ModelScoring extends LogicalPlan implements UnaryNode, Serializable {
  private static final long serialVersionUID = 1L;

  private final ModelCall call;
  private final Attribute result;
  private final LogicalPlan child;

  /** The call's inputs are columns of the child. */
  public ModelScoring(ModelCall call, Attribute result, LogicalPlan child) {
    this.call = call;
    this.result = result;
    this.child = child;
  }

  ModelCall call() {
    return call;
  }

  Attribute result() {
    return result;
  }

  ModelScoring over(LogicalPlan newChild) {
    return new ModelScoring(call, result, newChild);
  }

  @Override
  public LogicalPlan child() {
    return child;
  }

  @Override
  public Seq<LogicalPlan> children() {
    return UnaryNode.super.children();
  }

  @Override
  public LogicalPlan withNewChildInternal(LogicalPlan newChild) {
    return over(newChild);
  }

  @Override
  public LogicalPlan withNewChildrenInternal(IndexedSeq<LogicalPlan> newChildren) {
    return over(newChildren.apply(0));
  }

  @Override
  public Seq<Attribute> output() {
    return Scala.append(child.output(), List.of(result));
  }

  @Override
  public AttributeSet producedAttributes() {
    return AttributeSet$.MODULE$.apply(result);
  }

  @Override
  public ExpressionSet validConstraints() {
    return UnaryNode.super.validConstraints();
  }

  @Override
  public Option<Object> maxRows() {
    return child.maxRows();
  }

  @Override
  public Option<Object> maxRowsPerPartition() {
    return child.maxRowsPerPartition();
  }

  @Override
  public int productArity() {
    return 3;
  }

  @Override
  public Object productElement(int index) {
    return index == 0 ? call : index == 1 ? result : child;
  }

  @Override
  public boolean canEqual(Object other) {
    return other instanceof ModelScoring;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ModelScoring scoring
        && call.equals(scoring.call)
        && result.equals(scoring.result)
        && child.equals(scoring.child);
  }

  @Override
  public int hashCode() {
    return Objects.hash(call, result, child);
  }
}
