package io.lakegen.spark.sql;

import io.lakegen.model.LoadedModel;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Puts "!" before texts, and counts the rows that reach the model. */
record Shout() implements TaskDefinition {
  static final AtomicLong SEEN = new AtomicLong();
  static final AtomicInteger INSIDE = new AtomicInteger();

  /** Milliseconds that a batch takes. */
  static volatile long pause;

  static final Option<Integer> TIMES =
      Option.ofInt("num-times", 1, "Results a row.").where("1 or more", n -> n >= 1);

  @Override
  public TaskData data() {
    return new TaskData(
        "shout",
        "Shouts.",
        List.of("feature-extraction"),
        List.of(Argument.required("text", Argument.Kind.TEXT, "text")),
        List.of(TIMES),
        new Budget.Unit("rows", 16, 16),
        32,
        1);
  }

  @Override
  public int rowsPerInput(OptionValues options) {
    return options.get(TIMES);
  }

  @Override
  public List<Result> results(OptionValues options) {
    return List.of(
        new Result("shouted", Result.Type.TEXT, "the text, loud"),
        new Result("seed", Result.Type.LONG, "the row's"),
        new Result("sequence_index", Result.Type.INDEX, "from 0"));
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new Shouting(options.get(TIMES));
  }

  private record Prepared(String text, long seed) {}

  private record Shouting(int times) implements Task<Prepared, Prepared> {
    @Override
    public Prepared prepare(RowInput row) throws RowException {
      String text = row.text("text");
      if (text.startsWith("bad")) {
        throw new RowException("prepare", "bad_text", text + " (expected: a good one)");
      }
      return new Prepared(text, row.seed());
    }

    @Override
    public int size(Prepared prepared) {
      return 1;
    }

    @Override
    public List<Prepared> infer(List<Prepared> batch) {
      INSIDE.incrementAndGet();
      try {
        Thread.sleep(pause);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } finally {
        INSIDE.decrementAndGet();
      }
      SEEN.addAndGet(batch.size());
      return batch;
    }

    @Override
    public List<List<Object>> values(Prepared result) {
      List<List<Object>> rows = new ArrayList<>();
      for (int i = 0; i < times; i++) {
        rows.add(List.of("!" + result.text(), result.seed()));
      }
      return rows;
    }

    @Override
    public void check() {}
  }
}
