package io.lakegen.scoring;

import io.lakegen.task.ModelTask;
import io.lakegen.task.RowException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;

/** Turns texts into upper case; tests override what should go wrong. */
class FakeTask implements ModelTask<String, String, String> {
  /** What {@link #infer} was asked for, attempts that failed included. */
  final List<List<String>> batches = Collections.synchronizedList(new ArrayList<>());

  final AtomicInteger checks = new AtomicInteger();

  /** Takes equal rows for identical ones. */
  static FakeTask sharing() {
    return new FakeTask() {
      @Override
      public Object identity(String prepared) {
        return prepared;
      }
    };
  }

  /** Holds memory for every row that waits. */
  static FakeTask holding(long bytes) {
    return new FakeTask() {
      @Override
      public long inputBytes(String input) {
        return bytes;
      }
    };
  }

  @Override
  public String prepare(String input) throws RowException {
    return input;
  }

  @Override
  public int size(String prepared) {
    return prepared.length();
  }

  @Override
  public final List<String> infer(List<String> batch) {
    batches.add(List.copyOf(batch));
    return answer(batch);
  }

  List<String> answer(List<String> batch) {
    return batch.stream().map(s -> s.toUpperCase(Locale.ROOT)).toList();
  }

  @Override
  public void check() throws IOException {
    checks.incrementAndGet();
  }

  List<Integer> batchSizes() {
    return batches.stream().map(List::size).toList();
  }

  long paddedCost(List<String> batch) {
    return (long) batch.size() * batch.stream().mapToInt(String::length).max().orElseThrow();
  }
}
