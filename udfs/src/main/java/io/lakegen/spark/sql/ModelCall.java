package io.lakegen.spark.sql;

import java.io.Serializable;
import java.util.List;
import java.util.Objects;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.analysis.TypeCheckResult;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.ImplicitCastInputTypes;
import org.apache.spark.sql.catalyst.expressions.Unevaluable;
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenContext;
import org.apache.spark.sql.catalyst.expressions.codegen.ExprCode;
import org.apache.spark.sql.types.AbstractDataType;
import org.apache.spark.sql.types.DataType;
import scala.collection.immutable.IndexedSeq;
import scala.collection.immutable.Seq;

/**
 * A call of a model in a query; {@link ExtractModelCalls} takes it out. Public for Spark, which
 * copies it.
 */
public final class ModelCall extends Expression
    implements Unevaluable, ImplicitCastInputTypes, Serializable {
  private static final long serialVersionUID = 1L;

  private final CallSpec spec;
  private final Seq<Expression> children;

  /** The inputs are one an argument of the call. */
  public ModelCall(CallSpec spec, Seq<Expression> children) {
    this.spec = spec;
    this.children = children;
  }

  CallSpec spec() {
    return spec;
  }

  List<Expression> inputs() {
    return Scala.list(children);
  }

  ModelCall withInputs(List<Expression> inputs) {
    return new ModelCall(spec, Scala.seq(inputs));
  }

  @Override
  public Seq<Expression> children() {
    return children;
  }

  @Override
  public Expression withNewChildrenInternal(IndexedSeq<Expression> newChildren) {
    return new ModelCall(spec, newChildren);
  }

  @Override
  public DataType dataType() {
    return spec.type();
  }

  @Override
  public boolean nullable() {
    return true;
  }

  @Override
  public boolean foldable() {
    return false;
  }

  @Override
  public Object eval(InternalRow row) {
    return Unevaluable.super.eval(row);
  }

  @Override
  public ExprCode doGenCode(CodegenContext context, ExprCode code) {
    return Unevaluable.super.doGenCode(context, code);
  }

  @Override
  public Seq<AbstractDataType> inputTypes() {
    return Scala.seq(spec.arguments().stream().map(CallSpec::inputType).toList());
  }

  // A class's method hides a trait's from Java.
  @Override
  public TypeCheckResult checkInputDataTypes() {
    return ImplicitCastInputTypes.super.checkInputDataTypes();
  }

  @Override
  public String prettyName() {
    return spec.definition().function();
  }

  @Override
  public String toString() {
    return prettyName() + children.mkString("(", ", ", "; " + spec.describe() + ")");
  }

  @Override
  public int productArity() {
    return 2;
  }

  @Override
  public Object productElement(int index) {
    return index == 0 ? spec : children;
  }

  @Override
  public boolean canEqual(Object other) {
    return other instanceof ModelCall;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ModelCall call
        && spec.equals(call.spec)
        && children.equals(call.children);
  }

  @Override
  public int hashCode() {
    return Objects.hash(spec, children);
  }
}
