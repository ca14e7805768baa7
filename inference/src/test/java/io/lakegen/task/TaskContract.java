package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.image.CloseImages;
import io.lakegen.model.LoadedModel;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * What every task of the registry keeps to; a short subclass for each. {@code TasksTest} finds the
 * tasks that have none.
 */
public abstract class TaskContract<P, O> {

  /** The task. */
  protected abstract TaskDefinition definition();

  /** A model that it can use. */
  protected abstract LoadedModel model();

  /** Options to test with. */
  protected OptionValues options() {
    return OptionValues.NONE;
  }

  /** Rows of unequal cost, all good and no two of them equal. */
  protected abstract List<RowInput> goodRows() throws Exception;

  /** Bad rows by the type of their error. */
  protected abstract Map<String, RowInput> badRows();

  /**
   * Whether two values of a result agree, as far as the task promises it for other batches. A level
   * of difference is what they may round of a picture.
   */
  protected boolean agree(Object actual, Object expected) {
    if (actual instanceof byte[] file) {
      return CloseImages.close(file, (byte[]) expected, 1);
    }
    if (actual instanceof int[] numbers) {
      return Arrays.equals(numbers, (int[]) expected);
    }
    if (actual instanceof float[] vector) {
      return close(vector, (float[]) expected);
    }
    if (actual instanceof Float || actual instanceof Double) {
      double difference = ((Number) actual).doubleValue() - ((Number) expected).doubleValue();
      return Math.abs(difference) < 1e-5;
    }
    if (actual instanceof Map<?, ?> map) {
      return map.keySet().equals(((Map<?, ?>) expected).keySet())
          && map.entrySet().stream()
              .allMatch(e -> agree(e.getValue(), ((Map<?, ?>) expected).get(e.getKey())));
    }
    if (actual instanceof List<?> list) {
      List<?> other = (List<?>) expected;
      return list.size() == other.size()
          && IntStream.range(0, list.size()).allMatch(i -> agree(list.get(i), other.get(i)));
    }
    return actual.equals(expected);
  }

  private static boolean close(float[] actual, float[] expected) {
    boolean close = actual.length == expected.length;
    for (int i = 0; close && i < actual.length; i++) {
      close = Math.abs(actual[i] - expected[i]) < 1e-5;
    }
    return close;
  }

  @SuppressWarnings("unchecked") // a subclass names the types of its own task
  protected final Task<P, O> open() {
    Budget budget = new Budget(definition().data().budget().cpu());
    return (Task<P, O>) definition().open(model(), options(), budget);
  }

  private static <P, O> List<List<Object>> only(Task<P, O> task, P row) {
    return task.values(task.infer(List.of(row)).get(0));
  }

  @Test
  void aRowAloneHasTheResultThatItHasInABatchAndTheOrderIsKept() throws Exception {
    Task<P, O> task = open();
    List<P> rows = new ArrayList<>();
    for (RowInput row : goodRows()) {
      P prepared = task.prepare(row);
      // Rows that cannot share a batch are another test's.
      if (rows.isEmpty() || task.group(prepared).equals(task.group(rows.get(0)))) {
        rows.add(prepared);
      }
    }
    assertThat(rows).hasSizeGreaterThan(2);
    for (int turn = 0; turn < 2; turn++) {
      List<O> together = task.infer(rows);
      assertThat(together).hasSameSizeAs(rows);
      for (int i = 0; i < rows.size(); i++) {
        List<List<Object>> inBatch = task.values(together.get(i));
        List<List<Object>> alone = only(task, rows.get(i));
        assertThat(inBatch).hasSameSizeAs(alone).isNotEmpty();
        for (int r = 0; r < alone.size(); r++) {
          assertThat(inBatch.get(r)).hasSameSizeAs(alone.get(r));
          for (int v = 0; v < alone.get(r).size(); v++) {
            assertThat(agree(inBatch.get(r).get(v), alone.get(r).get(v)))
                .as("row %d, value %d: %s and %s", i, v, inBatch.get(r).get(v), alone.get(r).get(v))
                .isTrue();
          }
        }
      }
      Collections.reverse(rows);
    }
  }

  @Test
  void valuesHaveTheTypesOfTheResults() throws Exception {
    Task<P, O> task = open();
    List<Result> results =
        definition().results(options()).stream()
            .filter(r -> r.type() != Result.Type.INDEX)
            .toList();
    for (List<Object> row : only(task, task.prepare(goodRows().get(0)))) {
      assertThat(row).hasSameSizeAs(results);
      for (int i = 0; i < row.size(); i++) {
        Class<?> type =
            switch (results.get(i).type()) {
              case TEXT -> String.class;
              case INT, INDEX -> Integer.class;
              case LONG -> Long.class;
              case FLOAT -> Float.class;
              case DOUBLE -> Double.class;
              case BOOLEAN -> Boolean.class;
              case IMAGE -> byte[].class;
              case VECTOR -> float[].class;
              case INTS -> int[].class;
              case SCORES -> Map.class;
              case TEXTS, VECTORS, IMAGES -> List.class;
            };
        assertThat(row.get(i)).as(results.get(i).name()).isInstanceOf(type);
      }
    }
  }

  @Test
  void costsArePositiveAndPaddingIsCounted() throws Exception {
    Task<P, O> task = open();
    for (RowInput row : goodRows()) {
      P prepared = task.prepare(row);
      assertThat(task.size(prepared)).isPositive();
      assertThat(task.cost(prepared)).isGreaterThanOrEqualTo(task.size(prepared));
      assertThat(task.inputBytes(row)).isGreaterThanOrEqualTo(row.length());
    }
  }

  @Test
  void badRowsAreRejected() {
    Task<P, O> task = open();
    assertThat(badRows()).isNotEmpty();
    badRows()
        .forEach(
            (type, row) ->
                assertThatThrownBy(() -> task.prepare(row))
                    .as(type)
                    .isInstanceOfSatisfying(
                        RowException.class, e -> assertThat(e.error().type()).isEqualTo(type)));
  }

  @Test
  void theGoldenCheckPasses() throws Exception {
    open().check();
  }

  @Test
  void theOptionsPassTheChecks() {
    Problems problems = new Problems();
    definition().check(options(), problems);
    definition().check(options(), model().pack().spec(), problems);
    assertThat(problems.list()).extracting(Problem::toString).isEmpty();
  }

  @Test
  void definitionAndOptionsTravelToExecutors() throws Exception {
    assertThat(roundTrip(definition())).isEqualTo(definition()).hasSameHashCodeAs(definition());
    assertThat(roundTrip(options())).isEqualTo(options()).hasSameHashCodeAs(options());
    assertThat(roundTrip(new ArrayList<>(definition().inputs(options()))))
        .isEqualTo(definition().inputs(options()));
  }

  private static Object roundTrip(Object value) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(value);
    }
    try (ObjectInputStream in =
        new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      return in.readObject();
    }
  }
}
