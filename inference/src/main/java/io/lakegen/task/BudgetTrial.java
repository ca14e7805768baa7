package io.lakegen.task;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

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

  /** By candidate, of its turns after the first. */
  private final Map<Long, List<Double>> rates = new HashMap<>();

  /** Candidates that have still to take their turn in this round. */
  private final ArrayDeque<Long> turns = new ArrayDeque<>();

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
    candidates.forEach(candidate -> rates.put(candidate, new ArrayList<>()));
    begin(candidates);
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
    long candidate = turns.remove();
    if (round > 0) {
      rates.get(candidate).add(this.size * 1e9 / Math.max(1, this.nanos));
    }
    this.size = 0;
    this.nanos = 0;
    if (!turns.isEmpty()) {
      current = turns.element();
      return Optional.empty();
    }
    round++;
    List<Long> left = left();
    if (round < ROUNDS && left.size() > 1) {
      begin(left);
      return Optional.empty();
    }
    current = fastest();
    runs = false;
    return Optional.of(
        candidates.stream()
            .map(tried -> String.format(Locale.ROOT, "%d: %,.0f", tried, median(tried)))
            .collect(Collectors.joining(", ", "", " a second and thread")));
  }

  private void begin(List<Long> left) {
    if (round % 2 == 0) {
      turns.addAll(left);
    } else {
      left.forEach(turns::addFirst);
    }
    current = turns.element();
  }

  /** Ends the trial undecided: the default stays. */
  synchronized void stop() {
    if (runs) {
      current = usual;
      runs = false;
    }
  }

  private List<Long> left() {
    if (round < SURE_ROUNDS) {
      return candidates;
    }
    long leader = Collections.max(candidates, Comparator.comparingDouble(this::median));
    double slowest = Collections.min(rates.get(leader));
    return candidates.stream()
        .filter(candidate -> Collections.max(rates.get(candidate)) >= slowest)
        .toList();
  }

  private long fastest() {
    long best = usual;
    double most = median(best) * MARGIN;
    for (long candidate : candidates) {
      if (median(candidate) > most) {
        best = candidate;
        most = median(candidate);
      }
    }
    return best;
  }

  private double median(long candidate) {
    double[] sorted = rates.get(candidate).stream().mapToDouble(r -> r).sorted().toArray();
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }
}
