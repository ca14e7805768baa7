package io.lakegen.bench;

import io.lakegen.model.LoadedModel;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.List;

/**
 * A task that leaves its model alone: what remains is the cost of the way of a row. Adds {@code
 * bytes}, the length of the text.
 */
public record IdentityRows() implements TaskDefinition {
  private static final TaskData DATA =
      new TaskData(
          "identity",
          "Counts the bytes of texts.",
          List.of("feature-extraction"),
          List.of(Argument.required("text", Argument.Kind.TEXT, "text")),
          List.of(),
          new Budget.Unit("bytes in a batch", 2_048, 2_048),
          4096,
          32);

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public List<Result> results(OptionValues options) {
    return List.of(new Result("bytes", Result.Type.INT, "of the text"));
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new Task<byte[], Integer>() {
      @Override
      public byte[] prepare(RowInput row) {
        return row.bytes("text");
      }

      @Override
      public int size(byte[] prepared) {
        return prepared.length;
      }

      @Override
      public List<Integer> infer(List<byte[]> batch) {
        return batch.stream().map(text -> text.length).toList();
      }

      @Override
      public List<List<Object>> values(Integer result) {
        return List.of(List.of(result));
      }

      @Override
      public void check() {}
    };
  }
}
