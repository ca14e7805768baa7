package io.lakegen.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.model.DeviceUse;
import io.lakegen.task.Budget;
import io.lakegen.task.RowError;
import io.lakegen.task.RowInputs;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls that hang, as native code does: no interrupt reaches them. Time is what the test says. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TimeLimitsTest {
  private static final Duration LIMIT = Duration.ofMillis(40);

  private final AtomicLong nanos = new AtomicLong();
  private final CountDownLatch release = new CountDownLatch(1);
  private final List<Thread> threads = Collections.synchronizedList(new ArrayList<>());
  private final ScoringStats stats = new ScoringStats();

  @AfterEach
  void release() {
    release.countDown();
  }

  private void hang() {
    nanos.addAndGet(LIMIT.toNanos() + 1);
    while (release.getCount() > 0) {
      Thread.onSpinWait();
    }
  }

  private final class Hanging extends FakeTask {
    @Override
    public String prepare(String text) {
      threads.add(Thread.currentThread());
      if (text.startsWith("hang in prepare")) {
        hang();
      }
      return text;
    }

    @Override
    List<String> answer(List<String> batch) {
      threads.add(Thread.currentThread());
      if (batch.contains("fail")) {
        throw new IllegalStateException("no");
      }
      if (batch.contains("hang in infer")) {
        hang();
      }
      return super.answer(batch);
    }

    @Override
    public void check() {
      hang();
    }
  }

  private BatchScorer<String, String, String> scorer(List<String> rows, Timeouts timeouts) {
    return new BatchScorer<>(
        rows.iterator(),
        text -> RowInputs.of("text", text),
        text -> "key of " + text,
        new Hanging(),
        new ScoringOptions(64, 1 << 20, 1, timeouts, "tiny on gpu(1)"),
        new Budget(100),
        new DeviceUse(),
        stats,
        nanos::get);
  }

  private static void joinAll(List<Thread> threads) throws InterruptedException {
    for (Thread thread : threads) {
      if (thread.getName().equals("lakegen-prepare")) {
        thread.join();
      }
    }
  }

  @Test
  void aBatchThatHangsEndsTheScoringAndCloseDoesNotWaitForIt() throws Exception {
    CountDownLatch stopped = new CountDownLatch(1);
    BatchScorer<String, String, String> scorer =
        scorer(List.of("hang in infer"), new Timeouts(LIMIT, null));
    assertThatThrownBy(scorer::hasNext)
        .isInstanceOf(BatchTimeoutException.class)
        .hasMessage(
            "tiny on gpu(1): a batch of 1 row (cost 13; rows key of hang in infer) has been in a"
                + " device call for 40ms (expected: at most 40ms, see --batch-timeout)");
    scorer.close();
    scorer.whenStopped(stopped::countDown);
    assertThat(stopped.getCount()).as("the call is still running").isEqualTo(1);
    assertThat(scorer.fault().orElseThrow().isOfDevice()).isTrue();
    release.countDown();
    stopped.await();
    joinAll(threads);
  }

  @Test
  void aGoldenCheckThatHangsEndsTheScoringToo() {
    try (BatchScorer<String, String, String> scorer =
        scorer(List.of("fail"), new Timeouts(LIMIT, null))) {
      assertThatThrownBy(scorer::hasNext)
          .isInstanceOf(BatchTimeoutException.class)
          .hasMessageStartingWith("tiny on gpu(1): the golden check has been in a device call for");
    }
  }

  /** Spark interrupts a task that it kills, and nobody waits for the batch any more. */
  @Test
  void closingFindsOutThatABatchHangs() {
    BatchScorer<String, String, String> scorer =
        scorer(List.of("hang in infer"), new Timeouts(LIMIT, null));
    Thread.currentThread().interrupt();
    assertThatThrownBy(scorer::hasNext).isInstanceOf(CancellationException.class);
    assertThat(scorer.fault()).isEmpty();
    // What interrupts the inference thread before its call would hide the hang.
    Thread.interrupted();
    while (threads.size() < 2) {
      Thread.onSpinWait();
    }
    scorer.close();
    assertThat(scorer.fault().orElseThrow()).isInstanceOf(BatchTimeoutException.class);
  }

  @Test
  void rowsThatHangInPreparationAreErrorRowsInTheirPlaces() throws Exception {
    List<String> rows = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      rows.add(i == 0 || i == 50 || i == 51 || i == 99 ? "hang in prepare " + i : "row " + i);
    }
    List<Scored<String, String>> scored = new ArrayList<>();
    CountDownLatch stopped = new CountDownLatch(1);
    try (BatchScorer<String, String, String> scorer = scorer(rows, new Timeouts(null, LIMIT))) {
      scorer.forEachRemaining(scored::add);
      scorer.whenStopped(stopped::countDown);
    }
    assertThat(scored).extracting(Scored::row).containsExactlyElementsOf(rows);
    for (Scored<String, String> row : scored) {
      if (row.row().startsWith("hang")) {
        assertThat(row.error())
            .isEqualTo(
                new RowError(
                    "prepare",
                    "row_timeout",
                    "preparing the row took more than 40ms (see --row-timeout)"));
      } else {
        assertThat(row.result()).isEqualTo(row.row().toUpperCase(Locale.ROOT));
      }
    }
    assertThat(stats.value(Counter.rows)).isEqualTo(100);
    assertThat(stats.value(Counter.failed)).isEqualTo(4);
    assertThat(stopped.getCount()).as("four threads hang in the task").isEqualTo(1);
    release.countDown();
    stopped.await();
    joinAll(threads);
  }

  /** What a late thread finds must not be taken for the outcome of the row that is on turn. */
  @Test
  void aThreadThatComesBackLateChangesNothing() throws Exception {
    CountDownLatch secondRow = new CountDownLatch(1);
    CountDownLatch lateIsBack = new CountDownLatch(1);
    FakeTask task =
        new FakeTask() {
          @Override
          public String prepare(String text) {
            threads.add(Thread.currentThread());
            if (text.equals("late")) {
              nanos.addAndGet(LIMIT.toNanos() + 1);
              await(secondRow);
            } else if (text.equals("second")) {
              secondRow.countDown();
              Thread late = threads.get(0);
              // Its thread is back in the pool, or gone, once it has nothing of this task on it.
              while (isInside(late)) {
                Thread.onSpinWait();
              }
              lateIsBack.countDown();
            }
            return text;
          }
        };
    List<Scored<String, String>> scored = new ArrayList<>();
    try (BatchScorer<String, String, String> scorer =
        new BatchScorer<>(
            List.of("first", "late", "second", "third").iterator(),
            text -> RowInputs.of("text", text),
            text -> text,
            task,
            // Windows of one row, and then of three, whose rows one thread prepares.
            new ScoringOptions(16, 1 << 20, 1, new Timeouts(null, LIMIT), "tiny"),
            new Budget(1),
            new DeviceUse(),
            stats,
            nanos::get)) {
      scorer.forEachRemaining(scored::add);
    }
    lateIsBack.await();
    assertThat(scored).extracting(Scored::result).containsExactly("FIRST", null, "SECOND", "THIRD");
    assertThat(scored.get(1).error().type()).isEqualTo("row_timeout");
    joinAll(threads);
  }

  private static boolean isInside(Thread thread) {
    for (StackTraceElement frame : thread.getStackTrace()) {
      if (frame.getMethodName().equals("await") && frame.getClassName().contains("TimeLimits")) {
        return true;
      }
    }
    return false;
  }

  private static void await(CountDownLatch latch) {
    while (latch.getCount() > 0) {
      Thread.onSpinWait();
    }
  }

  @Test
  void whenTooManyRowsHangAtOnceTheTaskFails() {
    List<String> rows = Collections.nCopies(40, "hang in prepare");
    try (BatchScorer<String, String, String> scorer = scorer(rows, new Timeouts(null, LIMIT))) {
      assertThatThrownBy(() -> scorer.forEachRemaining(s -> {}))
          .isInstanceOf(EngineFaultException.class)
          .hasMessage(
              "17 rows at once hang in preparation, the last of them key of hang in prepare"
                  + " (expected: at most 16; each keeps a thread)");
      assertThat(scorer.fault().orElseThrow().isOfDevice()).isFalse();
    }
  }
}
