package io.lakegen.batch;

import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;

/** Turns texts into upper case; tests override what should go wrong. */
class FakeTask implements Task<String, String> {
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
      public long inputBytes(RowInput row) {
        return bytes;
      }
    };
  }

  @Override
  public final String prepare(RowInput row) throws RowException {
    return prepare(new String(row.bytes("text"), StandardCharsets.UTF_8));
  }

  String prepare(String text) throws RowException {
    return text;
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
  public List<List<Object>> values(String result) {
    return List.of(List.of(result));
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
