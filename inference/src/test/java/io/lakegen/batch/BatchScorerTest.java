package io.lakegen.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.model.DeviceUse;
import io.lakegen.task.Budget;
import io.lakegen.task.RowError;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInputs;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BatchScorerTest {
  private static final ScoringOptions OPTIONS = new ScoringOptions(64, 1 << 20, 2);
  private static final long NO_LIMIT = 1 << 30;

  private final ScoringStats stats = new ScoringStats();

  /** Rows of 1 to 40 characters, some of them equal. */
  private static List<String> texts(int count) {
    Random random = new Random(7);
    return IntStream.range(0, count)
        .mapToObj(i -> "x".repeat(random.nextInt(38)) + (char) ('a' + random.nextInt(26)))
        .toList();
  }

  private BatchScorer<String, String, String> scorer(
      Iterator<String> rows, FakeTask task, ScoringOptions options, Budget budget) {
    return new BatchScorer<>(
        rows,
        text -> RowInputs.of("text", text),
        text -> text,
        task,
        options,
        budget,
        new DeviceUse(),
        stats);
  }

  private List<Scored<String, String>> score(
      List<String> rows, FakeTask task, ScoringOptions options, Budget budget) {
    List<Scored<String, String>> scored = new ArrayList<>();
    try (BatchScorer<String, String, String> scorer =
        scorer(rows.iterator(), task, options, budget)) {
      scorer.forEachRemaining(scored::add);
    }
    return scored;
  }

  private List<Scored<String, String>> score(List<String> rows, FakeTask task) {
    return score(rows, task, OPTIONS, new Budget(NO_LIMIT));
  }

  private static void assertGood(List<String> rows, List<Scored<String, String>> scored) {
    assertThat(scored).extracting(Scored::row).containsExactlyElementsOf(rows);
    assertThat(scored)
        .allSatisfy(s -> assertThat(s.result()).isEqualTo(s.row().toUpperCase(Locale.ROOT)));
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "64,100,2", "17,40,3", "4096,1000000,1"})
  void everyRowHasItsOwnResultInInputOrder(int windowRows, long budget, int threads) {
    List<String> rows = texts(2_000);
    FakeTask task = new FakeTask();

    List<Scored<String, String>> scored =
        score(rows, task, new ScoringOptions(windowRows, 1 << 20, threads), new Budget(budget));

    assertGood(rows, scored);
    assertThat(task.batches)
        .allSatisfy(
            batch -> assertThat(batch.size() == 1 || task.paddedCost(batch) <= budget).isTrue());
  }

  @Test
  void noRowsNoOutcomes() {
    FakeTask task = new FakeTask();
    try (BatchScorer<String, String, String> scorer =
        scorer(Collections.emptyIterator(), task, OPTIONS, new Budget(1))) {
      assertThat(scorer.hasNext()).isFalse();
      assertThatThrownBy(scorer::next)
          .isInstanceOf(NoSuchElementException.class)
          .hasMessage("no more rows");
    }
    assertThat(task.batches).isEmpty();
  }

  @Test
  void windowsGrowToTheirLimitInRows() {
    FakeTask task = new FakeTask();
    score(Collections.nCopies(200, "a"), task);
    // Windows of 4, 16, 64, 64 and 52 rows. Without a limit no batch is ever full: the rows of
    // every other window wait for those of the next.
    assertThat(task.batchSizes()).containsExactly(20, 128, 52);
  }

  @Test
  void windowsEndWhenTheirInputsHoldTooMuchMemory() {
    FakeTask task = FakeTask.holding(100);
    score(
        Collections.nCopies(20, "a"), task, new ScoringOptions(1600, 250, 2), new Budget(NO_LIMIT));
    // Windows of three rows, two of them in a batch.
    assertThat(task.batchSizes()).containsExactly(6, 6, 6, 2);
  }

  @Test
  void batchesFillUpAcrossWindows() {
    FakeTask task = FakeTask.holding(3);
    List<String> rows = Collections.nCopies(42, "a");
    // Windows of 11 rows, and of 9 in the end.
    assertGood(rows, score(rows, task, new ScoringOptions(256, 32, 1), new Budget(16)));
    assertThat(task.batchSizes()).containsExactly(16, 16, 10);
  }

  @Test
  void atMostThreeWindowsAreInMemory() {
    AtomicInteger read = new AtomicInteger();
    Iterator<String> rows =
        IntStream.range(0, 500).mapToObj(i -> "r" + read.incrementAndGet()).iterator();
    int consumed = 0;
    int most = 0;
    try (BatchScorer<String, String, String> scorer =
        scorer(rows, new FakeTask(), new ScoringOptions(10, 1 << 20, 1), new Budget(100))) {
      while (scorer.hasNext()) {
        most = Math.max(most, read.get() - consumed);
        scorer.next();
        consumed++;
      }
    }
    assertThat(consumed).isEqualTo(500);
    // One row more tells that the last of the windows is not the last of all.
    assertThat(most).isBetween(11, 31);
  }

  @Test
  void identicalRowsAreInferredOncePerWindow() {
    FakeTask task = FakeTask.sharing();
    List<String> rows = List.of("a", "b", "a", "a", "c", "b", "a", "a");

    List<Scored<String, String>> scored =
        score(rows, task, new ScoringOptions(4, 1 << 20, 1), new Budget(NO_LIMIT));

    assertGood(rows, scored);
    // Windows of 1, 4 and 3 rows; the first waits for the second.
    assertThat(task.batches).containsExactly(List.of("a", "b", "c"), List.of("b", "a"));
    assertThat(stats.value(Counter.rows)).isEqualTo(8);
    assertThat(stats.value(Counter.size)).isEqualTo(5);
  }

  @Test
  void identicalRowsShareAnError() {
    FakeTask task =
        new FakeTask() {
          @Override
          public Object identity(String prepared) {
            return prepared;
          }

          @Override
          List<String> answer(List<String> batch) {
            if (batch.contains("bad")) {
              throw new IllegalStateException("cannot do bad");
            }
            return super.answer(batch);
          }
        };

    List<Scored<String, String>> scored = score(List.of("first", "bad", "good", "bad"), task);

    assertThat(scored).extracting(Scored::result).containsExactly("FIRST", null, "GOOD", null);
    assertThat(scored.get(3).error()).isEqualTo(scored.get(1).error());
    assertThat(stats.value(Counter.rows)).isEqualTo(4);
    assertThat(stats.value(Counter.failed)).isEqualTo(2);
  }

  @Test
  void theNextWindowIsPreparedWhileTheDeviceWorks() {
    CountDownLatch secondWindowPrepared = new CountDownLatch(1);
    FakeTask task =
        new FakeTask() {
          @Override
          public String prepare(String input) {
            if (input.equals("second")) {
              secondWindowPrepared.countDown();
            }
            return input;
          }

          @Override
          List<String> answer(List<String> batch) {
            if (batch.contains("first")) {
              awaitLatch(secondWindowPrepared);
            }
            return super.answer(batch);
          }
        };
    List<String> rows = List.of("first", "second");
    assertGood(rows, score(rows, task, new ScoringOptions(1, 1, 1), new Budget(1)));
  }

  @Test
  void theDeviceWorksWhileTheCallerConsumes() {
    CountDownLatch secondInferred = new CountDownLatch(1);
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            if (batch.contains("second")) {
              secondInferred.countDown();
            }
            return super.answer(batch);
          }
        };
    try (BatchScorer<String, String, String> scorer =
        scorer(
            List.of("first", "second").iterator(),
            task,
            new ScoringOptions(1, 1, 1),
            new Budget(1))) {
      assertThat(scorer.next().result()).isEqualTo("FIRST");
      awaitLatch(secondInferred);
      assertThat(scorer.next().result()).isEqualTo("SECOND");
    }
  }

  @Test
  void partitionsThatShareATaskKeepTheirRowsApart() throws Exception {
    FakeTask task = new FakeTask();
    Budget budget = new Budget(200);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<List<String>> partitions = new ArrayList<>();
      List<Future<List<Scored<String, String>>>> outcomes = new ArrayList<>();
      for (int p = 0; p < 8; p++) {
        String suffix = "-" + p;
        List<String> rows = texts(300).stream().map(t -> t + suffix).toList();
        partitions.add(rows);
        outcomes.add(threads.submit(() -> score(rows, task, OPTIONS, budget)));
      }
      for (int p = 0; p < 8; p++) {
        assertGood(partitions.get(p), outcomes.get(p).get());
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void rejectedRowsAndFailingPreparationAreErrorRowsInTheirPlaces() {
    FakeTask task =
        new FakeTask() {
          @Override
          public String prepare(String input) throws RowException {
            if (input.equals("rejected")) {
              throw RowException.prepare("not_nice", "the text is 'rejected'");
            }
            if (input.equals("crash")) {
              throw new NumberFormatException("no number: crash");
            }
            if (input.equals("huge")) {
              throw new OutOfMemoryError("Java heap space");
            }
            return input;
          }
        };

    List<Scored<String, String>> scored =
        score(List.of("a", "rejected", "b", "crash", "huge", "d"), task);

    assertThat(scored).extracting(Scored::result).containsExactly("A", null, "B", null, null, "D");
    assertThat(scored.get(1).error())
        .isEqualTo(new RowError("prepare", "not_nice", "the text is 'rejected'"));
    assertThat(scored.get(3).error())
        .isEqualTo(
            new RowError(
                "prepare", "prepare_error", "java.lang.NumberFormatException: no number: crash"));
    assertThat(scored.get(4).error())
        .isEqualTo(
            new RowError(
                "prepare", "out_of_memory", "java.lang.OutOfMemoryError: Java heap space"));
    assertThat(stats.value(Counter.rows)).isEqualTo(6);
    assertThat(stats.value(Counter.failed)).isEqualTo(3);
    assertThat(task.checks).hasValue(0);
  }

  @Test
  void errorsWhilePreparingFailThePartition() {
    NoClassDefFoundError error = new NoClassDefFoundError("org/example/Missing");
    FakeTask task =
        new FakeTask() {
          @Override
          public String prepare(String input) {
            throw error;
          }
        };
    assertThatThrownBy(() -> score(List.of("a"), task))
        .isInstanceOf(EngineFaultException.class)
        .hasMessage("scoring failed: java.lang.NoClassDefFoundError: org/example/Missing")
        .cause()
        .isSameAs(error);
  }

  @Test
  void failuresOfTheRowsThemselvesPassThrough() {
    IllegalStateException failure = new IllegalStateException("block 7 is corrupt");
    Iterator<String> rows =
        texts(100).stream()
            .peek(
                new java.util.function.Consumer<>() {
                  private int read;

                  @Override
                  public void accept(String row) {
                    if (++read == 50) {
                      throw failure;
                    }
                  }
                })
            .iterator();
    try (BatchScorer<String, String, String> scorer =
        scorer(rows, new FakeTask(), OPTIONS, new Budget(NO_LIMIT))) {
      assertThatThrownBy(() -> scorer.forEachRemaining(s -> {})).isSameAs(failure);
    }
  }

  @Test
  void countersAddUp() {
    List<String> rows = texts(1_000);
    FakeTask task = new FakeTask();

    score(rows, task, OPTIONS, new Budget(300));

    assertThat(stats.value(Counter.rows)).isEqualTo(1_000);
    assertThat(stats.value(Counter.failed)).isZero();
    assertThat(stats.value(Counter.size)).isEqualTo(rows.stream().mapToInt(String::length).sum());
    assertThat(stats.value(Counter.padded))
        .isEqualTo(task.batches.stream().mapToLong(task::paddedCost).sum());
    assertThat(stats.value(Counter.batches)).isEqualTo(task.batches.size());
    assertThat(stats.value(Counter.outOfMemory)).isZero();
    assertThat(
            List.of(
                stats.value(Counter.readNanos),
                stats.value(Counter.prepareNanos),
                stats.value(Counter.inferNanos),
                stats.value(Counter.writeNanos)))
        .allSatisfy(nanos -> assertThat(nanos).isPositive());
  }

  @Test
  void closingStopsAnInferenceThatListensAndTriesNothingAgain() {
    CountDownLatch started = new CountDownLatch(1);
    AtomicBoolean inside = new AtomicBoolean();
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            inside.set(true);
            started.countDown();
            try {
              new CountDownLatch(1).await();
              throw new IllegalStateException("unreachable");
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
              throw new IllegalStateException("interrupted", e);
            } finally {
              inside.set(false);
            }
          }
        };
    Thread consumer;
    try (BatchScorer<String, String, String> scorer =
        scorer(texts(500).iterator(), task, OPTIONS, new Budget(NO_LIMIT))) {
      // As in Spark: a task that is killed is interrupted, and then closes on its own thread.
      consumer = Thread.currentThread();
      new Thread(
              () -> {
                awaitLatch(started);
                consumer.interrupt();
              })
          .start();
      assertThatThrownBy(scorer::hasNext)
          .isInstanceOf(java.util.concurrent.CancellationException.class)
          .hasMessage("interrupted while waiting for the model");
    }
    assertThat(Thread.interrupted()).isTrue();
    assertThat(inside).isFalse();
    assertThat(task.batches).hasSize(1);
    assertThat(task.checks).hasValue(0);
  }

  @Test
  void closingWaitsForPreparation() throws Exception {
    CountDownLatch started = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    AtomicBoolean inside = new AtomicBoolean();
    FakeTask task =
        new FakeTask() {
          @Override
          public String prepare(String input) {
            inside.set(true);
            started.countDown();
            // Native code does not listen to interrupts.
            while (finish.getCount() > 0) {
              Thread.onSpinWait();
            }
            inside.set(false);
            return input;
          }
        };
    BatchScorer<String, String, String> scorer =
        scorer(List.of("a").iterator(), task, new ScoringOptions(1, 1, 1), new Budget(NO_LIMIT));
    Thread consumer =
        new Thread(
            () -> {
              try {
                scorer.forEachRemaining(s -> {});
              } catch (java.util.concurrent.CancellationException e) {
                scorer.close();
              }
            });
    consumer.start();
    awaitLatch(started);
    consumer.interrupt();
    // Only a close that does not wait can end here, however slow the machine is.
    consumer.join(300);
    boolean returnedEarly = !consumer.isAlive();
    finish.countDown();
    consumer.join();
    assertThat(returnedEarly).isFalse();
    assertThat(inside).isFalse();
  }

  @Test
  void noThreadIsLeftAfterClose() {
    List<Thread> threads = Collections.synchronizedList(new ArrayList<>());
    FakeTask task =
        new FakeTask() {
          @Override
          public String prepare(String input) {
            threads.add(Thread.currentThread());
            return input;
          }

          @Override
          List<String> answer(List<String> batch) {
            threads.add(Thread.currentThread());
            return super.answer(batch);
          }
        };
    try (BatchScorer<String, String, String> scorer =
        scorer(texts(500).iterator(), task, OPTIONS, new Budget(NO_LIMIT))) {
      scorer.next();
    }
    assertThat(threads).extracting(Thread::getName).contains("lakegen-prepare", "lakegen-infer");
    for (Thread thread : threads) {
      if (thread.getName().equals("lakegen-prepare")) {
        join(thread);
        assertThat(thread.isAlive()).isFalse();
      }
    }
  }

  @Test
  void scorersHaveTheThreadsOfThoseThatAreClosed() {
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    AtomicBoolean interrupted = new AtomicBoolean();
    FakeTask task =
        new FakeTask() {
          @Override
          List<String> answer(List<String> batch) {
            threads.add(Thread.currentThread());
            interrupted.compareAndSet(false, Thread.currentThread().isInterrupted());
            return super.answer(batch);
          }
        };
    int scorers = 0;
    // A thread takes a moment from a scorer's end until it waits for the next one.
    while (scorers < 1000 && threads.size() == scorers) {
      scorers++;
      try (BatchScorer<String, String, String> scorer =
          scorer(texts(5).iterator(), task, OPTIONS, new Budget(NO_LIMIT))) {
        scorer.next();
      }
    }
    assertThat(threads).hasSizeLessThan(scorers);
    assertThat(interrupted).isFalse();
  }

  private static void join(Thread thread) {
    try {
      thread.join(30_000);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static void awaitLatch(CountDownLatch latch) {
    try {
      assertThat(latch.await(30, TimeUnit.SECONDS)).as("the other thread came").isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /**
   * Only the end of a run makes its outcomes visible to another thread. So a row that waited comes
   * out after the run that found its outcome, even where that was written long before.
   */
  @Test
  void aRowThatWaitedComesOutWhenTheRunThatInferredItHasEnded() throws Exception {
    CountDownLatch outcomeIsWritten = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    FakeTask task =
        new FakeTask() {
          @Override
          public Object group(String prepared) {
            return prepared.charAt(0);
          }

          @Override
          List<String> answer(List<String> batch) {
            if (batch.get(0).startsWith("z")) {
              outcomeIsWritten.countDown();
              await(go);
            }
            return super.answer(batch);
          }
        };
    // Windows of one row, four and the last. The first row waits for the second window, whose run
    // infers it first and then hangs; the third window is not read before.
    Iterator<String> texts = List.of("a", "zzzz", "zzzz", "zzzz", "zzzz", "b").iterator();
    Iterator<String> rows =
        new Iterator<>() {
          @Override
          public boolean hasNext() {
            return texts.hasNext();
          }

          @Override
          public String next() {
            String text = texts.next();
            if (text.equals("b")) {
              await(outcomeIsWritten);
            }
            return text;
          }
        };
    ExecutorService consumer = Executors.newSingleThreadExecutor();
    try (BatchScorer<String, String, String> scorer =
        scorer(rows, task, new ScoringOptions(16, 1 << 20, 1), new Budget(4))) {
      Future<String> first = consumer.submit(() -> scorer.next().result());
      await(outcomeIsWritten);
      assertThatThrownBy(() -> first.get(300, TimeUnit.MILLISECONDS))
          .isInstanceOf(TimeoutException.class);
      go.countDown();
      assertThat(first.get()).isEqualTo("A");
    } finally {
      go.countDown();
      consumer.shutdownNow();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
