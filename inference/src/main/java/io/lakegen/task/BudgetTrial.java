package io.lakegen.task;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Finds the budget with which a model is fastest on the machine at hand, from the times of a run's
 * first batches. The candidates take turns, upwards and downwards in alternation, since the rows of
 * a window come sorted by length; the first turn of each warms the engine up and does not count.
 * What counts is the median of a candidate's turns, so that a pause of the machine decides nothing.
 * A candidate none of whose turns was as fast as any of the leader's gets no more of them: a slow
 * one costs the run. It knows no clock: it is told what batches took. Thread-safe.
 */
final class BudgetTrial {
  private static final int ROUNDS = 5;

  /** After so many, of which the first does not count, slow candidates leave. */
  private static final int SURE_ROUNDS = 3;

  /** By how much a candidate must be faster than the default. */
  private static final double MARGIN = 1.05;

  private final List<Long> candidates;
  private final long usual;
  private final List<List<Double>> rates = new ArrayList<>();

  /** The places of those that have still to take their turn in this round. */
  private final ArrayDeque<Integer> turns = new ArrayDeque<>();

  private volatile long current;

  /** False once it is decided. */
  private volatile boolean runs = true;

  private int round;
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
    candidates.forEach(candidate -> rates.add(new ArrayList<>()));
    begin(places().toList());
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
    // A turn lasts for a batch of the largest candidate.
    if (this.size < candidates.get(candidates.size() - 1)) {
      return Optional.empty();
    }
    int place = turns.remove();
    if (round > 0) {
      rates.get(place).add(this.size * 1e9 / Math.max(1, this.nanos));
    }
    this.size = 0;
    this.nanos = 0;
    if (!turns.isEmpty()) {
      current = candidates.get(turns.element());
      return Optional.empty();
    }
    round++;
    List<Integer> left = left();
    if (round < ROUNDS && left.size() > 1) {
      begin(left);
      return Optional.empty();
    }
    current = candidates.get(fastest());
    runs = false;
    return Optional.of(
        places()
            .map(i -> String.format(Locale.ROOT, "%d: %,.0f", candidates.get(i), median(i)))
            .collect(Collectors.joining(", ", "", " a second and thread")));
  }

  private void begin(List<Integer> places) {
    if (round % 2 == 0) {
      turns.addAll(places);
    } else {
      places.forEach(turns::addFirst);
    }
    current = candidates.get(turns.element());
  }

  /** Ends the trial undecided: the default stays. */
  synchronized void stop() {
    if (runs) {
      current = usual;
      runs = false;
    }
  }

  private Stream<Integer> places() {
    return IntStream.range(0, candidates.size()).boxed();
  }

  private List<Integer> left() {
    if (round < SURE_ROUNDS) {
      return places().toList();
    }
    double slowestOfLeader =
        rates.get(places().max(Comparator.comparingDouble(this::median)).orElseThrow()).stream()
            .min(Double::compare)
            .orElseThrow();
    return places()
        .filter(i -> rates.get(i).stream().anyMatch(rate -> rate >= slowestOfLeader))
        .toList();
  }

  private int fastest() {
    int best = candidates.indexOf(usual);
    double most = median(best) * MARGIN;
    for (int i = 0; i < candidates.size(); i++) {
      if (median(i) > most) {
        best = i;
        most = median(i);
      }
    }
    return best;
  }

  private double median(int candidate) {
    double[] sorted = rates.get(candidate).stream().mapToDouble(r -> r).sorted().toArray();
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }
}
