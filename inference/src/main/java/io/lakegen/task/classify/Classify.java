package io.lakegen.task.classify;

import io.lakegen.encoder.TextEncoderTask;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;

/** The task {@code classify}: a label for every text or pair of texts. */
public record Classify() implements TaskDefinition {
  static final String TEXT = "text";
  static final String PACK_TASK = "text-classification";

  static final Argument PAIR =
      Argument.optional(
          "text_pair",
          Argument.Kind.TEXT,
          "text-pair-column",
          "Column of second texts: the model classifies pairs, such as premise and hypothesis.");

  static final Option<Integer> TOP_K =
      Option.ofInt(
              "top-k",
              null,
              "Add the column scores with the N best labels; all of them where the model has no"
                  + " more.")
          .where("1 or more", n -> n >= 1);

  private static final TaskData DATA =
      new TaskData(
          "classify",
          "Classifies texts, or pairs of texts: the best label and its score.",
          List.of(PACK_TASK),
          List.of(Argument.required(TEXT, Argument.Kind.TEXT, "text"), PAIR),
          List.of(TOP_K),
          new Budget.Unit("tokens in a batch, padding counted", 2_048, 65_536),
          4096,
          32);

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public List<Result> results(OptionValues options) {
    List<Result> results =
        new ArrayList<>(
            List.of(
                new Result("label", Result.Type.TEXT, "the best label"),
                new Result(
                    "score",
                    Result.Type.FLOAT,
                    "its probability, or the value itself of a regression model")));
    if (options.get(TOP_K) != null) {
      results.add(
          new Result("scores", Result.Type.SCORES, "with --top-k: labels and scores, best first"));
    }
    results.add(
        new Result(
            "token_count", Result.Type.INT, "tokens given to the model, special tokens included"));
    results.add(
        new Result(
            "truncated",
            Result.Type.BOOLEAN,
            "whether the text had more tokens than the model takes"));
    return results;
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    TextEncoderTask.check(pack, problems);
    LabelSpec.read(pack.section(PACK_TASK, problems));
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new TextClassifier(model, options);
  }
}
