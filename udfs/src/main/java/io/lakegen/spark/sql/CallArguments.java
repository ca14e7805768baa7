package io.lakegen.spark.sql;

import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.NamedArgumentExpression;
import org.apache.spark.sql.types.MapType;

/**
 * What is given to a function, by position or, after that, by name: {@code f(a, model => 'm')}. By
 * position a map is the options, and what exceeds the required inputs ends with the model.
 *
 * @param inputs the task's arguments, from the first
 */
record CallArguments(
    List<Expression> inputs, Optional<Expression> model, Optional<Expression> options) {
  static final String MODEL = "model";
  static final String OPTIONS = "options";

  CallArguments {
    inputs = List.copyOf(inputs);
  }

  /** Sorts a call's arguments; what is wrong is thrown with all other problems so far. */
  static CallArguments of(List<Argument> arguments, List<Expression> given, Problems problems) {
    List<String> names = new ArrayList<>(arguments.stream().map(Argument::name).toList());
    names.add(MODEL);
    names.add(OPTIONS);
    List<Expression> rest = new ArrayList<>();
    Map<String, Expression> named = new LinkedHashMap<>();
    for (Expression argument : given) {
      if (argument instanceof NamedArgumentExpression byName) {
        addNamed(byName, names, named, problems);
      } else if (named.isEmpty()) {
        rest.add(argument);
      } else {
        problems.add("arguments", argument.sql(), "no argument by position after one by name");
      }
    }
    int required = (int) arguments.stream().filter(Argument::isRequired).count();
    Expression options = named.remove(OPTIONS);
    if (options == null && !rest.isEmpty() && last(rest).dataType() instanceof MapType) {
      options = rest.remove(rest.size() - 1);
    }
    Expression model = named.remove(MODEL);
    if (model == null && rest.size() > required) {
      model = rest.remove(rest.size() - 1);
    }
    while (rest.size() < arguments.size() && named.containsKey(names.get(rest.size()))) {
      rest.add(named.remove(names.get(rest.size())));
    }
    if (rest.size() < required || rest.size() > arguments.size() || !named.isEmpty()) {
      problems.add(
          "arguments",
          given.size() + (named.isEmpty() ? "" : ", " + named.keySet() + " out of place"),
          arguments.stream().map(Argument::name).toList() + ", then a model and a map of options");
    }
    problems.throwIfAny();
    return new CallArguments(rest, Optional.ofNullable(model), Optional.ofNullable(options));
  }

  private static void addNamed(
      NamedArgumentExpression argument,
      List<String> names,
      Map<String, Expression> named,
      Problems problems) {
    String name = argument.key().toLowerCase(Locale.ROOT);
    if (!names.contains(name)) {
      problems.add(
          argument.key(), "unknown argument", "one of " + names + Problems.suggestion(name, names));
    } else if (named.put(name, argument.value()) != null) {
      problems.add(name, "given twice", "one " + name);
    }
  }

  private static Expression last(List<Expression> given) {
    return given.get(given.size() - 1);
  }
}
