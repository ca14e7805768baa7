package io.lakegen.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import io.lakegen.batch.BatchRunner.Row;
import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.model.DeviceUse;
import io.lakegen.task.Budget;
import io.lakegen.task.RowError;
import io.lakegen.task.Steps;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BatchRunnerTest {
  private final ScoringStats stats = new ScoringStats();

  /** Fails as libtorch does on a device that holds {@code memory} padded characters. */
  private static class SmallDevice extends FakeTask {
    private final long memory;

    SmallDevice(long memory) {
      this.memory = memory;
    }

    @Override
    List<String> answer(List<String> batch) {
      if (paddedCost(batch) > memory) {
        throw new EngineException("CUDA out of memory. Tried to allocate 2.00 GiB");
      }
      return super.answer(batch);
    }
  }

  /** Cannot do batches that hold a row which starts with "bad". */
  private static class Picky extends FakeTask {
    @Override
    List<String> answer(List<String> batch) {
      for (String row : batch) {
        if (row.startsWith("bad")) {
          throw new EngineException("wrapped", new IllegalStateException("cannot do " + row));
        }
      }
      return super.answer(batch);
    }
  }

  private List<Row<String, String>> run(FakeTask task, Budget budget, List<String> rows) {
    List<Row<String, String>> found = new ArrayList<>();
    rows.forEach(row -> found.add(new Row<>(row, task.cost(row), null)));
    runner(task, budget).run(found, true);
    return found;
  }

  private BatchRunner<String, String> runner(Task<String, String> task, Budget budget) {
    DeviceWatch watch = new DeviceWatch("the model", null, new DeviceUse(), System::nanoTime);
    return new BatchRunner<>(task, budget, stats, watch);
  }

  private static Budget large() {
    return new Budget(1 << 20);
  }

  private static List<String> rows(int count, int length) {
    return IntStream.range(0, count)
        .mapToObj(i -> String.format(Locale.ROOT, "r%0" + (length - 1) + "d", i))
        .toList();
  }

  private static void assertGood(List<String> rows, List<Row<String, String>> found) {
    assertThat(found).extracting(s -> s.error).containsOnlyNulls();
    assertThat(found)
        .extracting(s -> s.result)
        .containsExactlyElementsOf(rows.stream().map(r -> r.toUpperCase(Locale.ROOT)).toList());
  }

  @Test
  void aBatchUnderWayCountsInPart() {
    List<Long> seen = new ArrayList<>();
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            Steps.done(0.25);
            seen.add(stats.value(Counter.partialThousandths));
            Steps.done(0.75);
            seen.add(stats.value(Counter.partialThousandths));
            if (batch.size() > 1) {
              throw new EngineException("the whole batch failed");
            }
            return super.answer(batch);
          }
        };
    run(task, large(), List.of("aa", "bb"));
    // Both rows at once, which fails, then each alone.
    assertThat(seen).containsExactly(500L, 1500L, 250L, 750L, 250L, 750L);
    assertThat(stats.value(Counter.partialThousandths)).isZero();
    assertThat(stats.value(Counter.rows)).isEqualTo(2);
    Steps.done(0.5);
    assertThat(stats.value(Counter.partialThousandths)).as("nobody listens any more").isZero();
  }

  @Test
  void longRowsGoFirst() {
    FakeTask task = new FakeTask();
    run(task, new Budget(10), List.of("aa", "bbbbbbbb", "ccccc", "ddddd", "e"));
    assertThat(task.batches.subList(0, 2))
        .containsExactly(List.of("bbbbbbbb"), List.of("ccccc", "ddddd"));
  }

  @Test
  void aRowLargerThanTheBudgetGoesAlone() {
    FakeTask task = new FakeTask();
    List<String> rows = List.of("aaaaaaaaaaaa", "bbbbbbbbbbbb");
    assertGood(rows, run(task, new Budget(5), rows));
    assertThat(task.batchSizes()).containsExactly(1, 1);
  }

  @Test
  void rowsWithAnErrorAreLeftAlone() {
    FakeTask task = new FakeTask();
    RowError error = new RowError("read", "broken_line", "no JSON");
    Row<String, String> bad = new Row<>(null, 1, error);
    Row<String, String> good = new Row<>("a", 1, null);
    runner(task, large()).run(List.of(bad, good), true);
    assertThat(bad.error).isSameAs(error);
    assertThat(bad.result).isNull();
    assertThat(good.result).isEqualTo("A");
  }

  @Test
  void outOfMemorySplitsTheSameRowsAndTeachesTheCeiling() {
    FakeTask task = new SmallDevice(30);
    List<String> rows = rows(64, 10);
    Budget budget = new Budget(1_000);

    assertGood(rows, run(task, budget, rows));

    // 640, 320, 160, 80 and 40 do not fit. From then on, no row is tried in too large a batch.
    assertThat(task.batchSizes().subList(0, 5)).containsExactly(64, 32, 16, 8, 4);
    assertThat(task.batchSizes().subList(5, 37)).containsOnly(2);
    assertThat(task.batches).hasSize(37);
    assertThat(budget.current()).isEqualTo(20);
    assertThat(stats.value(Counter.outOfMemory)).isEqualTo(5);
    assertThat(stats.value(Counter.rows)).isEqualTo(64);
    assertThat(stats.value(Counter.batches)).isEqualTo(32);
    assertThat(stats.value(Counter.padded)).isEqualTo(640);
    assertThat(task.checks).hasValue(0);
  }

  @Test
  void whatOneScorerLearntTheOthersKeepTo() {
    FakeTask task = new SmallDevice(30);
    Budget budget = new Budget(1_000);
    run(task, budget, rows(64, 10));
    int attempts = task.batches.size();
    long failures = stats.value(Counter.outOfMemory);

    List<String> rows = rows(32, 10);
    assertGood(rows, run(task, budget, rows));

    assertThat(task.batches).hasSize(attempts + 16);
    assertThat(stats.value(Counter.outOfMemory)).isEqualTo(failures);
  }

  @Test
  void outOfMemoryAtOneRowIsThatRowsError() {
    FakeTask task = new SmallDevice(30);
    String giant = "g".repeat(31);

    List<Row<String, String>> found = run(task, new Budget(100), List.of("a", giant, "b"));

    assertThat(found).extracting(s -> s.result).containsExactly("A", null, "B");
    assertThat(found.get(1).error)
        .isEqualTo(
            new RowError(
                "infer",
                "out_of_memory",
                "a single row of size 31 does not fit into memory: CUDA out of memory. Tried to"
                    + " allocate 2.00 GiB"));
    assertThat(task.checks).hasValue(1);
    assertThat(stats.value(Counter.rows)).isEqualTo(3);
    assertThat(stats.value(Counter.failed)).isEqualTo(1);
  }

  @Test
  void aDeviceWithoutMemoryForAnythingIsAnEngineFault() {
    FakeTask task =
        new SmallDevice(0) {
          @Override
          public void check() {
            answer(List.of("golden"));
          }
        };
    assertThatThrownBy(() -> run(task, large(), List.of("a", "b")))
        .isInstanceOf(EngineFaultException.class)
        .hasMessage(
            "the model fails on its own golden inputs: CUDA out of memory. Tried to allocate 2.00"
                + " GiB");
  }

  @Test
  void aFailingBatchIsTriedRowByRow() {
    FakeTask task = new Picky();

    List<Row<String, String>> found = run(task, large(), List.of("a", "bad1", "b", "bad2", "c"));

    assertThat(found).extracting(s -> s.result).containsExactly("A", null, "B", null, "C");
    assertThat(found.get(1).error)
        .isEqualTo(new RowError("infer", "engine_error", "cannot do bad1"));
    assertThat(found.get(3).error)
        .isEqualTo(new RowError("infer", "engine_error", "cannot do bad2"));
    assertThat(task.batchSizes()).containsExactly(5, 1, 1, 1, 1, 1);
    // The rows that came after the bad ones have proven the model.
    assertThat(task.checks).hasValue(0);
    assertThat(stats.value(Counter.rows)).isEqualTo(5);
    assertThat(stats.value(Counter.failed)).isEqualTo(2);
    assertThat(stats.value(Counter.size)).isEqualTo(3);
  }

  @Test
  void allRowsOfASoundModelMayBeBad() {
    FakeTask task = new Picky();
    List<Row<String, String>> found = run(task, large(), List.of("bad1", "bad2", "bad3"));
    assertThat(found)
        .extracting(s -> s.error.message())
        .containsExactly("cannot do bad1", "cannot do bad2", "cannot do bad3");
    assertThat(task.checks).hasValue(1);
  }

  @Test
  void rowsAfterOneThatBreaksTheDeviceAreNotToBlame() {
    FakeTask task =
        new FakeTask() {
          private boolean broken;

          @Override
          List<String> answer(List<String> batch) {
            broken |= batch.equals(List.of("poison"));
            if (broken || batch.contains("poison")) {
              throw new EngineException("CUDA error: device-side assert triggered");
            }
            return super.answer(batch);
          }

          @Override
          public void check() {
            answer(List.of("golden"));
          }
        };
    assertThatThrownBy(() -> run(task, large(), List.of("longer and good", "poison", "good")))
        .isInstanceOf(EngineFaultException.class)
        .hasMessage(
            "the model fails on its own golden inputs: CUDA error: device-side assert triggered");
  }

  @Test
  void aModelThatFailsItsGoldenInputsIsAnEngineFault() {
    IOException broken = new IOException("golden.json is gone");
    FakeTask task =
        new Picky() {
          @Override
          public void check() throws IOException {
            throw broken;
          }
        };
    assertThatThrownBy(() -> run(task, large(), List.of("bad", "bad2")))
        .isInstanceOf(EngineFaultException.class)
        .hasMessage("the model fails on its own golden inputs: golden.json is gone")
        .cause()
        .isSameAs(broken)
        .satisfies(
            e -> assertThat(e.getSuppressed()).singleElement().isInstanceOf(EngineException.class));
  }

  @Test
  void resultsThatCannotBePairedAreErrors() {
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            return batch.contains("short") ? List.of() : super.answer(batch);
          }
        };
    List<Row<String, String>> found = run(task, large(), List.of("short", "a"));
    assertThat(found).extracting(s -> s.result).containsExactly(null, "A");
    assertThat(found.get(0).error.message())
        .isEqualTo("the model returned 0 results (expected: 1, one a row)");
  }

  @Test
  void noListOfResultsIsAnError() {
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            return null;
          }
        };
    List<Row<String, String>> found = run(task, large(), List.of("a"));
    assertThat(found.get(0).error.message())
        .isEqualTo("the model returned no results (expected: 1, one a row)");
  }

  @Test
  void aMissingResultIsAnErrorOfItsRowOnly() {
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            List<String> results = new ArrayList<>(super.answer(batch));
            Collections.replaceAll(results, "NONE", null);
            return results;
          }
        };
    List<Row<String, String>> found = run(task, large(), List.of("a", "none", "b"));
    assertThat(found).extracting(s -> s.result).containsExactly("A", null, "B");
    assertThat(found.get(1).error.message())
        .isEqualTo("the model returned null for a row (expected: a result)");
  }

  @Test
  void aBatchThatFailedHalfWayLeavesNoResults() {
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            if (batch.equals(List.of("moody"))) {
              throw new IllegalStateException("not alone");
            }
            return Arrays.asList(batch.size() == 1 ? "A" : "MOODY", null).subList(0, batch.size());
          }
        };
    List<Row<String, String>> found = run(task, large(), List.of("moody", "a"));
    assertThat(found.get(0).result).isNull();
    assertThat(found.get(0).error.message()).isEqualTo("not alone");
    assertThat(found.get(1).result).isEqualTo("A");
  }

  @Test
  void anErrorOfTheVirtualMachineIsNoRowsFault() {
    StackOverflowError error = new StackOverflowError();
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            throw error;
          }
        };
    assertThatThrownBy(() -> run(task, large(), List.of("a", "b"))).isSameAs(error);
    assertThat(task.batches).hasSize(1);
  }

  @Test
  void longMessagesAreCut() {
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            throw new IllegalStateException("x".repeat(10_000));
          }
        };
    assertThat(run(task, large(), List.of("a")).get(0).error.message())
        .isEqualTo("x".repeat(500) + "...");
  }

  @Test
  void aFailureWithoutMessageHasItsClassForOne() {
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            throw new UnsupportedOperationException();
          }
        };
    assertThat(run(task, large(), List.of("a")).get(0).error.message())
        .isEqualTo("UnsupportedOperationException");
  }

  @Test
  void rowsThatMakeNoFullBatchWaitForTheNextWindowOnce() {
    FakeTask task = byFirstLetter();
    BatchRunner<String, String> runner = runner(task, new Budget(3));
    List<List<Row<String, String>>> windows = new ArrayList<>();
    for (String rows : List.of("a b a a a", "a a a", "c c c c", "c")) {
      windows.add(
          Arrays.stream(rows.split(" "))
              .map(row -> new Row<String, String>(row, 1, null))
              .toList());
    }

    runner.run(windows.get(0), false);
    assertThat(task.batches).containsExactly(List.of("a", "a", "a"));
    assertThat(windows.get(0).stream().map(Row::isPending))
        .containsExactly(false, true, false, false, true);

    // One more "a" waits now; the "b" will not get company any more.
    runner.run(windows.get(1), false);
    assertThat(task.batchSizes()).containsExactly(3, 1, 3);
    assertThat(windows.get(0)).noneMatch(Row::isPending);
    assertThat(windows.get(1).stream().map(Row::isPending)).containsExactly(false, false, true);

    runner.run(windows.get(2), false);
    assertThat(task.batchSizes()).containsExactly(3, 1, 3, 1, 3);

    runner.run(windows.get(3), true);
    assertThat(task.batchSizes()).containsExactly(3, 1, 3, 1, 3, 2);
    assertThat(windows.stream().flatMap(List::stream))
        .allSatisfy(row -> assertThat(row.result).isEqualTo(row.prepared.toUpperCase(Locale.ROOT)));
    assertThat(stats.value(Counter.rows)).isEqualTo(13);
  }

  @Test
  void identicalRowsWaitTogether() {
    FakeTask task = FakeTask.sharing();
    BatchRunner<String, String> runner = runner(task, large());
    List<Row<String, String>> first = List.of(new Row<>("a", 1, null), new Row<>("a", 1, null));
    List<Row<String, String>> second = List.of(new Row<>("b", 1, null), new Row<>("a", 1, null));

    runner.run(first, false);
    assertThat(task.batches).isEmpty();
    assertThat(stats.value(Counter.rows)).isZero();

    runner.run(second, false);
    assertThat(task.batches).containsExactly(List.of("a", "b"));
    assertThat(first).extracting(s -> s.result).containsExactly("A", "A");
    assertThat(second).extracting(s -> s.result).containsExactly("B", "A");
    assertThat(stats.value(Counter.rows)).isEqualTo(4);
  }

  private static FakeTask byFirstLetter() {
    return new FakeTask() {
      @Override
      public Object group(String prepared) {
        return prepared.charAt(0);
      }
    };
  }

  /** Rows that begin with different letters never share a batch, whatever room there is. */
  @Test
  void rowsOfDifferentGroupsShareNoBatch() {
    FakeTask task = byFirstLetter();
    List<Row<String, String>> found =
        run(task, large(), List.of("apple", "bear", "ant", "bee", "asp", "cat"));
    assertThat(task.batches)
        .containsExactly(List.of("apple", "ant", "asp"), List.of("bear", "bee"), List.of("cat"));
    assertThat(found.stream().map(s -> s.result))
        .containsExactly("APPLE", "BEAR", "ANT", "BEE", "ASP", "CAT");
  }

  @Test
  void aTaskThatTakesWholeWindowsKeepsToTheBudgetItself() {
    FakeTask task =
        new FakeTask() {
          @Override
          public boolean takesWholeWindows() {
            return true;
          }

          @Override
          List<String> answer(List<String> batch) {
            if (batch.size() > 3) {
              throw new EngineException("CUDA out of memory");
            }
            return super.answer(batch);
          }
        };
    Budget budget = new Budget(5);
    List<String> rows = rows(10, 4);
    assertGood(rows, run(task, budget, rows));
    assertThat(task.batchSizes()).containsExactly(10, 5, 2, 2, 2, 2, 2);
    assertThat(budget.current()).isEqualTo(5);
  }

  /** Takes a time for each batch and for each character: large batches are the faster ones. */
  @Test
  void theBudgetThatWasFastestInTheFirstBatchesStays() {
    AtomicLong clock = new AtomicLong();
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            clock.addAndGet(100 + paddedCost(batch));
            return super.answer(batch);
          }
        };
    Budget.Unit unit = new Budget.Unit("characters", 20, 1, List.of(10L, 20L, 40L));
    Budget budget = unit.budget(Device.cpu(), clock::get);
    BatchRunner<String, String> runner = runner(task, budget);
    List<String> rows = rows(400, 4);
    for (int from = 0; from < rows.size(); from += 100) {
      List<Row<String, String>> window = new ArrayList<>();
      rows.subList(from, from + 100).forEach(row -> window.add(new Row<>(row, 4, null)));
      runner.run(window, from == 300);
    }
    assertThat(task.batchSizes().subList(0, 12)).as("turns").isSubsetOf(2, 5, 10).contains(2, 5);
    assertThat(budget).hasToString("40");
    assertThat(task.batchSizes()).endsWith(10, 10, 10).contains(5);
    assertThat(task.batches.stream().flatMap(List::stream))
        .containsExactlyInAnyOrderElementsOf(rows);
  }
}
