package io.lakegen.spark.sql;

import io.lakegen.problem.Problems;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.Cast;
import org.apache.spark.sql.catalyst.expressions.CreateMap;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.util.MapData;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.NullType;
import org.apache.spark.sql.types.StringType;

/** The options of a call, {@code map('name', value, ...)}, as a command line would hold them. */
final class OptionMap {
  private OptionMap() {}

  /** Texts by the options' names, which may have underscores for the command line's dashes. */
  static Map<String, Object> read(Expression map, Problems problems) {
    Map<String, Object> raw = new LinkedHashMap<>();
    if (map.dataType() instanceof MapType empty && empty.keyType() instanceof NullType) {
      return raw; // map()
    }
    if (!map.foldable()
        || !(map.dataType() instanceof MapType type)
        || !(type.keyType() instanceof StringType)) {
      problems.add(CallArguments.OPTIONS, map.sql(), "a constant map('name', 'value', ...)");
      return raw;
    }
    if (map instanceof CreateMap made) {
      List<Expression> names = Scala.list(made.keys());
      List<Expression> values = Scala.list(made.values());
      for (int i = 0; i < names.size(); i++) {
        put(raw, constant(names.get(i)), constant(asGiven(values.get(i))), problems);
      }
    } else {
      MapData data = (MapData) map.eval(InternalRow.empty());
      for (int i = 0; data != null && i < data.numElements(); i++) {
        put(
            raw,
            data.keyArray().getUTF8String(i),
            data.valueArray().get(i, type.valueType()),
            problems);
      }
    }
    return raw;
  }

  /** Spark makes all values of a map one type: of 20 beside 0.7 it makes 20.0. */
  private static Expression asGiven(Expression value) {
    return value instanceof Cast cast && cast.getTagValue(Cast.USER_SPECIFIED_CAST()).isEmpty()
        ? asGiven(cast.child())
        : value;
  }

  private static Object constant(Expression value) {
    return value.eval(InternalRow.empty());
  }

  private static void put(Map<String, Object> raw, Object key, Object value, Problems problems) {
    String name = String.valueOf(key).replace('_', '-');
    if (value == null) {
      problems.add(name, null, "a value");
    } else {
      if (raw.put(name, value.toString()) != null) {
        problems.add(name, "given twice", "one value");
      }
    }
  }
}
