package io.lakegen.jobs.run;

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
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;

/**
 * A task without a model: the length of a text, times a factor. Texts with {@code bad} are error
 * rows as long as {@link #healed} is false; {@link #BROKEN} texts break the engine.
 */
record LengthTask() implements TaskDefinition {
  static final Option<Integer> FACTOR = Option.ofInt("factor", 1, "Multiplies the length.");

  /** Rows that were inferred in this JVM. */
  static final AtomicLong INFERRED = new AtomicLong();

  /** Texts that break the engine. */
  static final Set<String> BROKEN = ConcurrentHashMap.newKeySet();

  static volatile boolean healed;

  /** Time for each row, so that a run can be killed in the middle. */
  static volatile long nanosPerRow;

  /** Gets a line for each row that is inferred, on disk before the row goes on. */
  static volatile Path log;

  private static final TaskData DATA =
      new TaskData(
          "length",
          "Counts the bytes of texts.",
          List.of("feature-extraction"),
          List.of(Argument.required("text", Argument.Kind.TEXT, "text")),
          List.of(FACTOR),
          new Budget.Unit("bytes in a batch", 64, 64),
          16,
          4);

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public List<Result> results(OptionValues options) {
    return List.of(new Result("length", Result.Type.INT, "of the text"));
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    int factor = options.get(FACTOR);
    return new Task<byte[], Integer>() {
      @Override
      public byte[] prepare(RowInput row) throws RowException {
        byte[] bytes = row.bytes("text");
        if (!healed && text(bytes).contains("bad")) {
          throw new RowException("prepare", "bad_text", "a bad text");
        }
        return bytes;
      }

      @Override
      public int size(byte[] prepared) {
        return prepared.length;
      }

      @Override
      public List<Integer> infer(List<byte[]> batch) {
        List<Integer> lengths = new ArrayList<>();
        for (byte[] text : batch) {
          if (BROKEN.contains(text(text))) {
            BROKEN.add("all");
          }
          if (BROKEN.contains("all")) {
            throw new IllegalStateException("the device is broken");
          }
          lengths.add(text.length * factor);
        }
        INFERRED.addAndGet(batch.size());
        if (log != null) {
          String lines = batch.stream().map(t -> text(t) + "\n").collect(Collectors.joining());
          try {
            Files.writeString(log, lines, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        }
        if (nanosPerRow > 0) {
          java.util.concurrent.locks.LockSupport.parkNanos(nanosPerRow * batch.size());
        }
        return lengths;
      }

      @Override
      public List<List<Object>> values(Integer result) {
        return List.of(List.of(result));
      }

      @Override
      public void check() {
        if (BROKEN.contains("all")) {
          throw new IllegalStateException("golden inputs fail");
        }
      }
    };
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
