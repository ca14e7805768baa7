package io.lakegen.spark;

import static org.apache.spark.sql.functions.call_function;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.explode_outer;
import static org.apache.spark.sql.functions.lit;

import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.answer.Answer;
import io.lakegen.task.caption.Caption;
import io.lakegen.task.classify.Classify;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.generate.Generate;
import io.lakegen.task.match.Match;
import io.lakegen.task.render.Render;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.ArrayType;

/**
 * The tasks over a Dataset, for Java and Scala. A method gives the rows with the columns that the
 * job of the same name adds, and {@code error}: null for a good row, else what is wrong with it,
 * and the task's columns and {@code lineage} are null then. As with every Dataset, nothing is
 * computed before an action asks for it.
 *
 * <pre>{@code
 * Lakegen.embed(reviews, Lakegen.Spec.of("s3a://models/all-MiniLM-L6-v2").with("column", "review"))
 * }</pre>
 */
public final class Lakegen {
  private static final String CALL = "__lakegen_call";
  private static final String RESULT = "__lakegen_result";

  private Lakegen() {}

  /**
   * A model and options.
   *
   * @param model URI of a model pack, or a name that {@code spark.lakegen.models.<name>} gives a
   *     URI
   * @param options by their names on the job's command line, those that name the input's columns
   *     included; a picture is a column of bytes here
   */
  public record Spec(String model, Map<String, String> options) {
    public Spec {
      options = Map.copyOf(options);
    }

    /** A model with every option at its default. */
    public static Spec of(String model) {
      return new Spec(model, Map.of());
    }

    /** The same with another value for an option. */
    public Spec with(String option, Object value) {
      Map<String, String> changed = new TreeMap<>(options);
      changed.put(option, value.toString());
      return new Spec(model, changed);
    }
  }

  /** Embeddings of texts or pictures. */
  public static Dataset<Row> embed(Dataset<Row> rows, Spec spec) {
    return apply(new Embed(), rows, spec);
  }

  /** Labels of texts, of pairs of texts, or of pictures. */
  public static Dataset<Row> classify(Dataset<Row> rows, Spec spec) {
    return apply(new Classify(), rows, spec);
  }

  /** Answers to questions, out of texts. */
  public static Dataset<Row> answer(Dataset<Row> rows, Spec spec) {
    return apply(new Answer(), rows, spec);
  }

  /** How well the picture and the text of each row fit. */
  public static Dataset<Row> match(Dataset<Row> rows, Spec spec) {
    return apply(new Match(), rows, spec);
  }

  /** Texts that go on from prompts. */
  public static Dataset<Row> generate(Dataset<Row> rows, Spec spec) {
    return apply(new Generate(), rows, spec);
  }

  /** Captions of pictures. */
  public static Dataset<Row> caption(Dataset<Row> rows, Spec spec) {
    return apply(new Caption(), rows, spec);
  }

  /** Pictures made from prompts. */
  public static Dataset<Row> render(Dataset<Row> rows, Spec spec) {
    return apply(new Render(), rows, spec);
  }

  /**
   * A task over the rows.
   *
   * @throws InvalidArgumentsException if the rows have a column that the task adds; what else is
   *     wrong is an AnalysisException
   */
  public static Dataset<Row> apply(TaskDefinition task, Dataset<Row> rows, Spec spec) {
    Map<String, String> options = new LinkedHashMap<>(spec.options());
    List<Column> arguments = arguments(task, options);
    options.put("result", "struct");
    options.put("on-error", "struct");
    arguments.add(lit(spec.model()));
    arguments.add(map(options));
    LakegenFunctions.register(rows.sparkSession());
    Dataset<Row> called =
        rows.select(
            col("*"), call_function(task.function(), arguments.toArray(Column[]::new)).as(CALL));
    Column value = col(CALL + ".value");
    boolean isArray = called.select(value).schema().apply(0).dataType() instanceof ArrayType;
    Dataset<Row> each =
        called.select(col("*"), (isArray ? explode_outer(value) : value).as(RESULT));
    Dataset<Row> added = each.select(col(RESULT + ".*"), col(CALL + "." + OutputSchema.ERROR));
    check(rows.columns(), List.of(added.columns()));
    return each.select(col("*"), col(RESULT + ".*"), col(CALL + "." + OutputSchema.ERROR))
        .drop(CALL, RESULT);
  }

  private static void check(String[] columns, List<String> added) {
    Problems problems = new Problems();
    for (String column : columns) {
      if (added.contains(column)) {
        problems.add("input column", column, "none of the columns that are added: " + added);
      }
    }
    problems.throwIfAny();
  }

  /** Takes the options that name columns out of all options. */
  private static List<Column> arguments(TaskDefinition task, Map<String, String> options) {
    List<Column> columns = new ArrayList<>();
    for (Argument argument : task.data().arguments()) {
      String given = options.remove(argument.column().name());
      String name = given == null ? argument.column().byDefault() : given;
      if (name != null) {
        columns.add(col(name));
      }
    }
    return columns;
  }

  private static Column map(Map<String, String> options) {
    return functions.map(
        options.entrySet().stream()
            .flatMap(e -> List.of(lit(e.getKey()), lit(e.getValue())).stream())
            .toArray(Column[]::new));
  }
}
