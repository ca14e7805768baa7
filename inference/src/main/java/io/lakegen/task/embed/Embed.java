package io.lakegen.task.embed;

import io.lakegen.encoder.TextEncoderTask;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.List;

/** The task {@code embed}: a vector for every text. */
public record Embed() implements TaskDefinition {
  static final String TEXT = "text";
  static final String PACK_TASK = "feature-extraction";

  /**
   * On CPUs throughput is flat from a few hundred tokens a batch on, and small batches stay in the
   * caches; a GPU wants the thousands that fill it.
   */
  private static final Budget.Unit BUDGET =
      new Budget.Unit("tokens in a batch, padding counted", 2_048, 65_536);

  private static final TaskData DATA =
      new TaskData(
          "embed",
          "Embeds texts: a vector for each.",
          List.of(PACK_TASK),
          List.of(Argument.required(TEXT, Argument.Kind.TEXT, "text")),
          List.of(),
          BUDGET,
          4096,
          32);

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public List<Result> results(OptionValues options) {
    return List.of(
        new Result("embedding", Result.Type.VECTOR, "pooled and normalised as the pack says"),
        new Result(
            "token_count", Result.Type.INT, "tokens given to the model, special tokens included"),
        new Result(
            "truncated",
            Result.Type.BOOLEAN,
            "whether the text had more tokens than the model takes"));
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    TextEncoderTask.check(pack, problems);
    EmbeddingSpec.read(pack.section(PACK_TASK, problems));
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new TextEmbedder(model);
  }
}
