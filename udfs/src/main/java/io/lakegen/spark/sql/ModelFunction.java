package io.lakegen.spark.sql;

import io.lakegen.batch.Timeouts;
import io.lakegen.model.ModelPack;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import io.lakegen.spark.PackCheck;
import io.lakegen.spark.ScorerOptions;
import io.lakegen.spark.sql.CallSpec.OnError;
import io.lakegen.spark.sql.CallSpec.ResultShape;
import io.lakegen.task.Argument;
import io.lakegen.task.Input;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.analysis.FunctionRegistryBase;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.ExpressionInfo;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.internal.SQLConf;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.NullType;
import org.apache.spark.sql.types.StringType;
import scala.collection.immutable.Seq;
import scala.runtime.AbstractFunction1;

/**
 * A task as an SQL function: {@code f(input, ... [, model [, map('option', 'value', ...)]])}. Makes
 * a {@link ModelCall} of a call's arguments, or an AnalysisException that says what is wrong.
 */
final class ModelFunction extends AbstractFunction1<Seq<Expression>, Expression> {
  private static final String MODELS = "spark.lakegen.models.";
  private static final String DEFAULTS = "spark.lakegen.default.";

  private static final Option<ResultShape> RESULT =
      Option.ofEnum(
          "result",
          ResultShape.class,
          ResultShape.main,
          "SHAPE",
          "main gives the task's main result; struct gives all of the job's columns.");

  private static final Option<OnError> ON_ERROR =
      Option.ofEnum(
          "on-error",
          OnError.class,
          OnError.NULL,
          "WHAT",
          "What a bad row gives: null; fail ends the query; struct gives"
              + " struct<value, error> for every row.");

  private final TaskDefinition task;

  ModelFunction(TaskDefinition task) {
    this.task = task;
  }

  FunctionIdentifier id() {
    return new FunctionIdentifier(task.function());
  }

  private List<Option<?>> options() {
    List<Option<?>> all = new ArrayList<>(task.data().options());
    all.addAll(ScorerOptions.of(task.data().budget()));
    all.add(RESULT);
    all.add(ON_ERROR);
    return all;
  }

  /** What DESCRIBE FUNCTION EXTENDED says. */
  ExpressionInfo info() {
    StringBuilder signature = new StringBuilder("_FUNC_(");
    StringBuilder arguments = new StringBuilder("\n    Arguments:\n");
    for (Argument argument : task.data().arguments()) {
      String name = argument.name();
      signature.append(argument.isRequired() ? name + ", " : "[" + name + ", ");
      arguments
          .append("      * ")
          .append(name)
          .append(" - ")
          .append(expected(argument))
          .append(argument.isRequired() ? "" : "; where it is given, the model must be too")
          .append("\n");
    }
    signature.append("model, options").append(optionalArguments() == 0 ? "" : "]").append(")");
    arguments.append(
        "      * model - URI of a model pack, or a name that "
            + MODELS
            + "<name> gives a URI; without it "
            + DEFAULTS
            + task.data().name()
            + " counts\n      * options - map('name', 'value', ...) with these:\n");
    for (Option<?> option : options()) {
      arguments.append("          ").append(option.name()).append(": ");
      arguments.append(option.help()).append("\n");
    }
    Result main = task.results(OptionValues.NONE).get(0);
    String example =
        "\n    Examples:\n      > SELECT _FUNC_("
            + task.data().arguments().get(0).name()
            + ", 's3a://models/pack', map('on_error', 'struct')) FROM rows;\n  ";
    return new ExpressionInfo(
        ModelCall.class.getName(),
        null,
        task.function(),
        signature
            + " - "
            + task.data().description()
            + " Returns "
            + main.name()
            + " ("
            + main.description()
            + "); an array of them where options ask for several. Null for a null and, unless"
            + " on-error says otherwise, for a bad row.",
        arguments.toString(),
        example,
        "",
        "misc_funcs",
        "",
        "",
        "scala_udf");
  }

  private long optionalArguments() {
    return task.data().arguments().stream().filter(a -> !a.isRequired()).count();
  }

  void register(FunctionRegistryBase<Expression> registry) {
    if (!registry.functionExists(id())) {
      registry.registerFunction(id(), info(), this);
    }
  }

  @Override
  public Expression apply(Seq<Expression> given) {
    Problems problems = new Problems();
    try {
      return call(Scala.list(given), problems);
    } catch (InvalidArgumentsException e) {
      throw Failures.analysis(task.function() + ": " + e.getMessage());
    }
  }

  private ModelCall call(List<Expression> given, Problems problems) {
    CallArguments call = CallArguments.of(task.data().arguments(), given, problems);
    Map<String, Object> raw = new LinkedHashMap<>();
    call.options().ifPresent(map -> raw.putAll(OptionMap.read(map, problems)));
    String name = call.model().map(model -> constant(model, problems)).orElse("");
    List<Argument> arguments = task.data().arguments().subList(0, call.inputs().size());
    checkTypes(arguments, call.inputs(), problems);
    OptionValues values = OptionValues.parse(options(), raw, problems);
    OptionValues taskValues = values.only(task.data().options());
    for (Argument argument : arguments) {
      taskValues = taskValues.with(argument.column(), argument.name());
    }
    String uri = uri(name, problems);
    problems.throwIfAny();
    task.check(taskValues, problems);
    checkInputs(taskValues, arguments, problems);
    problems.throwIfAny();
    Optional<ModelPack> pack = PackCheck.fetch(task, taskValues, uri, hadoopConf(), problems);
    problems.throwIfAny();
    TaskDefinition known =
        PackCheck.known(
            task, taskValues, pack.orElseThrow().spec(), isBinary(call.inputs().get(0)), problems);
    arguments = known.data().arguments().subList(0, arguments.size());
    for (Argument argument : arguments) {
      taskValues = taskValues.with(argument.column(), argument.name());
    }
    checkTypes(arguments, call.inputs(), problems);
    problems.throwIfAny();
    Long budget = values.get(ScorerOptions.BATCH_BUDGET);
    CallSpec spec =
        new CallSpec(
            known,
            taskValues,
            arguments.size(),
            qualified(uri),
            pack.orElseThrow().spec().source().id(),
            pack.orElseThrow().sha256(),
            pack.orElseThrow().spec().engine(),
            values.get(ScorerOptions.DEVICE),
            budget == null ? 0 : budget,
            new Timeouts(
                values.get(ScorerOptions.BATCH_TIMEOUT), values.get(ScorerOptions.ROW_TIMEOUT)),
            values.get(ScorerOptions.SEED),
            values.get(RESULT),
            values.get(ON_ERROR));
    return new ModelCall(spec, Scala.seq(call.inputs()));
  }

  /** A relative path is one of the driver's working directory, and executors have others. */
  private static String qualified(String uri) {
    Path path = new Path(uri);
    try {
      return path.getFileSystem(hadoopConf()).makeQualified(path).toString();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Configuration hadoopConf() {
    return SparkSession.active().sessionState().newHadoopConf();
  }

  private static String constant(Expression model, Problems problems) {
    if (!model.foldable() || !(model.dataType() instanceof StringType)) {
      problems.add(
          CallArguments.MODEL,
          model.sql(),
          "a constant text: the URI of a model pack, or a name of " + MODELS + "<name>");
      return "";
    }
    Object value = model.eval(InternalRow.empty());
    return value == null ? "" : value.toString();
  }

  private String uri(String name, Problems problems) {
    // In a view SQLConf.get() has the settings of the view only.
    SQLConf conf = SparkSession.active().sessionState().conf();
    String model = name.isEmpty() ? conf.getConfString(DEFAULTS + task.data().name(), "") : name;
    if (model.isEmpty()) {
      problems.add(
          CallArguments.MODEL,
          "missing",
          "the URI of a model pack as an argument, or in " + DEFAULTS + task.data().name());
    }
    return conf.getConfString(MODELS + model, model);
  }

  private static void checkTypes(
      List<Argument> arguments, List<Expression> given, Problems problems) {
    for (int i = 0; i < arguments.size(); i++) {
      Expression value = given.get(i);
      Argument.Kind kind = arguments.get(i).kind();
      boolean fits =
          switch (kind) {
            case IMAGE -> isBinary(value);
            case IMAGES, VECTOR -> value.dataType() instanceof ArrayType;
            case TEXT_OR_IMAGE -> true;
            case TEXT, NUMBER, SCALAR -> !isBinary(value);
          };
      if (!fits && !(value.dataType() instanceof NullType)) {
        problems.add(
            arguments.get(i).name(),
            value.sql() + " of type " + value.dataType().simpleString(),
            expected(arguments.get(i)));
      }
    }
  }

  private static boolean isBinary(Expression value) {
    return value.dataType() instanceof BinaryType;
  }

  private static String expected(Argument argument) {
    String image = "the bytes of an image file, such as content of the format binaryFile";
    return switch (argument.kind()) {
      case IMAGE -> image;
      case IMAGES -> "an array of the bytes of image files";
      case TEXT_OR_IMAGE -> "as the model asks for: a text, or " + image;
      case VECTOR -> "an array of numbers";
      case TEXT, NUMBER, SCALAR -> "a text";
    };
  }

  /** A function sees its arguments and no other column. */
  private void checkInputs(OptionValues values, List<Argument> arguments, Problems problems) {
    List<String> names = arguments.stream().map(Argument::name).toList();
    for (Input input : task.inputs(values)) {
      if (!names.contains(input.column())) {
        problems.add(
            input.option(),
            "column " + input.column(),
            "none but the arguments, " + names + "; make others part of them with concat");
      }
    }
  }
}
