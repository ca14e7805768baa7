package io.lakegen.decode;

import static io.lakegen.decode.DecodingOptions.LENGTH_PENALTY;
import static io.lakegen.decode.DecodingOptions.NUM_BEAMS;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import io.lakegen.decode.DecodeRow.Group;
import io.lakegen.decode.DecodedSequence.FinishReason;
import io.lakegen.task.OptionValues;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Beam search with the rules of Hugging Face's {@code GenerationMixin._beam_search} for {@code
 * early_stopping=False}: the best candidates of all beams, end tokens among them, compete; the
 * search ends when the best running beam cannot displace the worst finished one.
 */
final class BeamSearch implements DecodingStrategy {
  private final OptionValues options;
  private final LogitsProcessors processors;
  private final StoppingCriteria stopping;
  private final int numBeams;
  private final int candidates;

  /**
   * @param endTokens number of end tokens, each of which may take a candidate's place
   */
  BeamSearch(
      OptionValues options, LogitsProcessors processors, StoppingCriteria stopping, int endTokens) {
    this.options = options;
    this.numBeams = options.get(NUM_BEAMS);
    this.processors = processors;
    this.stopping = stopping;
    this.candidates = Math.max(2, 1 + endTokens) * numBeams;
  }

  private record Candidate(
      DecodeRow parent, long token, float score, float logProbability, FinishReason ends) {}

  @Override
  public int rowsPerGroup() {
    return numBeams;
  }

  @Override
  public int groupsPerRequest() {
    return 1;
  }

  @Override
  public void advance(NDArray logits, List<DecodeRow> rows, SlotBatch<?> batch) {
    NDArray raw = logits.logSoftmax(1);
    int count = (int) Math.min(candidates, logits.getShape().get(1));
    NDList best = processors.process(raw, rows).topK(count, 1, true, true);
    float[] scores = best.get(0).toFloatArray();
    float[] logProbabilities = raw.gather(best.get(1), 1).toFloatArray();
    long[] tokens = best.get(1).toLongArray();
    Map<Group, List<Candidate>> groups = new LinkedHashMap<>();
    for (int r = 0; r < rows.size(); r++) {
      DecodeRow row = rows.get(r);
      List<Candidate> ofGroup = groups.computeIfAbsent(row.group, g -> new ArrayList<>());
      for (int i = r * count; i < (r + 1) * count; i++) {
        LogitsException.check(logProbabilities[i]);
        if (scores[i] > Float.NEGATIVE_INFINITY) {
          ofGroup.add(
              new Candidate(row, tokens[i], scores[i] + row.score, logProbabilities[i], null));
        }
      }
    }
    groups.forEach((group, found) -> advance(group, found, batch));
  }

  private void advance(Group group, List<Candidate> found, SlotBatch<?> batch) {
    List<Candidate> best =
        found.stream()
            .sorted(
                Comparator.comparingDouble((Candidate c) -> -c.score())
                    .thenComparing(c -> group.rows.indexOf(c.parent())))
            .limit(candidates)
            .map(this::judged)
            .toList();
    int length = group.rows.get(0).generated() + 1;
    List<Candidate> running = best.stream().filter(c -> c.ends() == null).limit(numBeams).toList();
    best.stream()
        .limit(numBeams)
        .filter(c -> c.ends() != null)
        .forEach(c -> finish(group, c, length));
    boolean improvable =
        group.finished.size() < numBeams
            || (!running.isEmpty()
                && penalised(running.get(0).score(), length)
                    > (float) group.finished.get(numBeams - 1).score());
    if (running.isEmpty() || !improvable) {
      group.done = true;
      batch.leave(group.rows);
    } else {
      replaceRows(group, running, batch);
    }
  }

  private Candidate judged(Candidate c) {
    return new Candidate(
        c.parent(),
        c.token(),
        c.score(),
        c.logProbability(),
        stopping.reason(c.parent(), c.token()));
  }

  private void finish(Group group, Candidate candidate, int length) {
    DecodeRow row = child(candidate);
    group.finished.add(
        new DecodedSequence(
            row.newTokens(),
            candidate.ends(),
            row.logProbability,
            penalised(candidate.score(), length)));
    group.finished.sort(Comparator.comparingDouble(s -> -s.score()));
    if (group.finished.size() > numBeams) {
      group.finished.remove(numBeams);
    }
  }

  private float penalised(float score, int length) {
    return score / (float) Math.pow(length, options.get(LENGTH_PENALTY));
  }

  private static DecodeRow child(Candidate candidate) {
    DecodeRow child = candidate.parent().copy();
    child.append(candidate.token(), candidate.logProbability());
    child.score = candidate.score();
    return child;
  }

  /**
   * The first child of a beam stays in its row; only further children cost a copy of the cache,
   * into rows of beams without children where there are any.
   */
  private static void replaceRows(Group group, List<Candidate> running, SlotBatch<?> batch) {
    List<DecodeRow> children = running.stream().map(BeamSearch::child).toList();
    List<DecodeRow> parents = List.copyOf(group.rows);
    group.rows.clear();
    group.rows.addAll(children);
    Map<DecodeRow, DecodeRow> heirs = new LinkedHashMap<>();
    List<Integer> further = new ArrayList<>();
    for (int i = 0; i < children.size(); i++) {
      if (heirs.putIfAbsent(running.get(i).parent(), children.get(i)) != null) {
        further.add(i);
      }
    }
    heirs.forEach(batch::adopt);
    Set<DecodeRow> dead = new HashSet<>(parents);
    dead.removeAll(heirs.keySet());
    for (int i : further) {
      DecodeRow parent = heirs.get(running.get(i).parent());
      if (dead.isEmpty()) {
        batch.fork(parent, children.get(i));
      } else {
        DecodeRow place = dead.iterator().next();
        dead.remove(place);
        batch.replace(parent, place, children.get(i));
      }
    }
    batch.leave(dead);
  }
}
