package io.lakegen.task;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Finds the budget with which a model is fastest on the machine at hand, from the times of a run's
 * first batches. The candidates take turns, upwards and downwards in alternation, since the rows of
 * a window come sorted by length; the first turn of each warms the engine up and does not count.
 * What counts is the median of a candidate's turns, so that a pause of the machine decides nothing.
 * It knows no clock: it is told what batches took. Thread-safe.
 */
final class BudgetTrial {
  private static final int ROUNDS = 5;

  /** A turn lasts for so many batches of the largest candidate. */
  private static final int BATCHES = 2;

  /** By how much a candidate must be faster than the default. */
  private static final double MARGIN = 1.02;

  private final List<Long> candidates;
  private final long usual;
  private final List<List<Double>> rates = new ArrayList<>();
  private volatile long current;

  /** False once it is decided. */
  private volatile boolean runs = true;

  private int turn;
  private long size;
  private long nanos;

  /**
   * A trial before its first batch.
   *
   * @param candidates ascending
   * @param usual one of them, which stays unless another is faster
   */
  BudgetTrial(List<Long> candidates, long usual) {
    this.candidates = candidates;
    this.usual = usual;
    this.current = candidates.get(0);
    candidates.forEach(candidate -> rates.add(new ArrayList<>()));
  }

  /** The candidate whose turn it is, and at last the one to stay with. */
  long current() {
    return current;
  }

  boolean runs() {
    return runs;
  }

  /**
   * Tells how long a batch took.
   *
   * @param budget the candidate that it was cut for; batches of earlier turns do not count
   * @param size of its rows, without padding
   * @return how fast the candidates were, if this batch ends the trial
   */
  synchronized Optional<String> ran(long budget, long size, long nanos) {
    if (!runs || budget != current) {
      return Optional.empty();
    }
    this.size += size;
    this.nanos += nanos;
    if (this.size < BATCHES * candidates.get(candidates.size() - 1)) {
      return Optional.empty();
    }
    if (turn >= candidates.size()) {
      rates.get(place()).add(this.size * 1e9 / Math.max(1, this.nanos));
    }
    this.size = 0;
    this.nanos = 0;
    turn++;
    if (turn < ROUNDS * candidates.size()) {
      current = candidates.get(place());
      return Optional.empty();
    }
    current = fastest();
    runs = false;
    return Optional.of(
        IntStream.range(0, candidates.size())
            .mapToObj(i -> String.format(Locale.ROOT, "%d: %,.0f", candidates.get(i), median(i)))
            .collect(Collectors.joining(", ", "", " a second and thread")));
  }

  /** Ends the trial undecided: the default stays. */
  synchronized void stop() {
    if (runs) {
      current = usual;
      runs = false;
    }
  }

  private int place() {
    int last = candidates.size() - 1;
    int step = turn % candidates.size();
    return turn / candidates.size() % 2 == 0 ? step : last - step;
  }

  private long fastest() {
    int best = candidates.indexOf(usual);
    double most = median(best) * MARGIN;
    for (int i = 0; i < candidates.size(); i++) {
      if (median(i) > most) {
        best = i;
        most = median(i);
      }
    }
    return candidates.get(best);
  }

  private double median(int candidate) {
    double[] sorted = rates.get(candidate).stream().mapToDouble(r -> r).sorted().toArray();
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }
}
