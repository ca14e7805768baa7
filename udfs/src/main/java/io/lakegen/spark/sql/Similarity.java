package io.lakegen.spark.sql;

import java.util.List;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.analysis.FunctionRegistryBase;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.ExpressionInfo;
import org.apache.spark.sql.catalyst.expressions.objects.StaticInvoke;
import org.apache.spark.sql.catalyst.plans.logical.FunctionSignature;
import org.apache.spark.sql.catalyst.plans.logical.InputParameter;
import org.apache.spark.sql.catalyst.plans.logical.NamedParametersSupport;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.AbstractDataType;
import org.apache.spark.sql.types.DataTypes;
import scala.Option;

/** {@code ai_similarity(vector, vector)}: the cosine of the angle between two vectors. */
public final class Similarity {
  private static final String NAME = "ai_similarity";

  private static final FunctionSignature SIGNATURE =
      new FunctionSignature(
          Scala.seq(
              List.of(
                  new InputParameter("a", Option.empty()),
                  new InputParameter("b", Option.empty()))));

  private Similarity() {}

  static void register(FunctionRegistryBase<Expression> registry) {
    FunctionIdentifier id = new FunctionIdentifier(NAME);
    if (registry.functionExists(id)) {
      return;
    }
    AbstractDataType vector = DataTypes.createArrayType(DataTypes.FloatType);
    registry.registerFunction(
        id,
        new ExpressionInfo(
            Similarity.class.getName(),
            null,
            NAME,
            "_FUNC_(a, b) - Cosine similarity of two vectors, from -1 to 1. Null for a null, an"
                + " element that is null, and a vector of zeros.",
            "\n    Arguments:\n      * a, b - array<float> of one length, such as ai_embed's\n",
            "\n"
                + "    Examples:\n"
                + "      > SELECT _FUNC_(array(3F, 4F), array(4F, 3F));\n"
                + "       0.96\n"
                + "  ",
            "",
            "misc_funcs",
            "",
            "",
            "scala_udf"),
        arguments -> {
          return new StaticInvoke(
              Similarity.class,
              DataTypes.DoubleType,
              "cosine",
              NamedParametersSupport.defaultRearrange(
                  SIGNATURE, arguments, NAME, (a, b) -> a.equalsIgnoreCase(b)),
              Scala.seq(List.of(vector, vector)),
              true,
              true,
              true,
              Option.empty());
        });
  }

  /**
   * Cosine similarity, computed in double precision.
   *
   * @param a an array of floats
   * @param b another of the same length
   * @return from -1 to 1; null if an element is null or a vector has no direction
   * @throws IllegalArgumentException if the lengths differ
   */
  public static Double cosine(ArrayData a, ArrayData b) {
    if (a.numElements() != b.numElements()) {
      throw new IllegalArgumentException(
          NAME
              + ": vectors of "
              + a.numElements()
              + " and "
              + b.numElements()
              + " numbers (expected: one length; vectors of two models cannot be compared)");
    }
    double product = 0;
    double squaresOfA = 0;
    double squaresOfB = 0;
    for (int i = 0; i < a.numElements(); i++) {
      if (a.isNullAt(i) || b.isNullAt(i)) {
        return null;
      }
      double x = a.getFloat(i);
      double y = b.getFloat(i);
      product += x * y;
      squaresOfA += x * x;
      squaresOfB += y * y;
    }
    double norms = Math.sqrt(squaresOfA) * Math.sqrt(squaresOfB);
    return norms == 0 ? null : Math.max(-1, Math.min(1, product / norms));
  }
}
