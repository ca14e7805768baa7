package io.lakegen.decode;

import static io.lakegen.decode.DecodingOptions.NUM_BEAMS;
import static io.lakegen.decode.DecodingOptions.STOP;

import ai.djl.ndarray.NDManager;
import io.lakegen.decode.DecodeRow.Group;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.OutOfMemory;
import io.lakegen.model.PackSpec;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Steps;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;

/**
 * Decodes any number of prompts through one batch of slots: a sequence that ends leaves at once,
 * waiting prompts take its place, so the device never works for rows that are done (continuous
 * batching; Yu et al., Orca, OSDI 2022).
 *
 * <p>Prompts that begin alike share what the beginning costs: its keys and values are computed once
 * and copied into the slots of every row that joins (prefix caching; Kwon et al., vLLM, SOSP 2023,
 * 4.4). They are kept for later calls, and for other loops over the same model.
 *
 * <p>What all prompts of a job begin with isn't even copied: a step reads it once for all rows, and
 * each row's slots hold what comes behind it (cascade inference; Ye et al., FlashInfer, MLSys
 * 2025). It rounds otherwise than a copy, so only what the job's options decide is read so: whether
 * a row follows it never depends on the rows beside it.
 *
 * <p>Thread-safe; every call of {@link #run} has its own slots, at most as many as the budget lets
 * it have. Out of memory lowers the budget for good, and the rows that were live go on from the
 * tokens they had.
 *
 * @param <C> what the rows' contexts are made of
 */
public final class DecodeLoop<C> {
  /** Bounds the activations of a prefill. */
  private static final int PREFILL_TOKENS = 4096;

  /**
   * A prefill reads all weights once, however few rows join, and an empty slot costs its share of a
   * step's fixed price. For sequences of some 50 to 200 tokens the sum is least when an eighth of
   * the slots joins at once.
   */
  private static final int JOIN_SHARE = 8;

  /** Steps between two words on how far the call has come. */
  private static final int TOLD_STEPS = 8;

  /** Kept prefixes may take this part of the budget; rows have what is left. */
  private static final int PREFIX_SHARE = 4;

  private final LoadedModel model;
  private final ContextEncoder<C> encoder;
  private final DecodingStrategy strategy;
  private final SlotSizes sizes;
  private final Budget budget;
  private final BudgetUnit unit;
  private final long[] common;

  /** What the budget counts. */
  public enum BudgetUnit {
    /** Slots of the cache, cross attention's included. */
    SLOTS,
    /** Rows of the decoder: sequences and beams. */
    ROWS
  }

  /** A loop whose prompts need not begin alike. */
  public DecodeLoop(
      LoadedModel model,
      OptionValues options,
      ContextEncoder<C> encoder,
      Budget budget,
      BudgetUnit unit) {
    this(model, options, encoder, budget, unit, new long[0]);
  }

  /**
   * A loop over a loaded model.
   *
   * @param encoder makes the rows' contexts; {@link ContextEncoder#none} for causal models
   * @param budget what the rows of one call may take together; a group that needs more alone is
   *     decoded alone
   * @param common tokens that prompts begin with whatever their rows hold; empty for none
   */
  public DecodeLoop(
      LoadedModel model,
      OptionValues options,
      ContextEncoder<C> encoder,
      Budget budget,
      BudgetUnit unit,
      long[] common) {
    this.model = model;
    this.encoder = encoder;
    this.budget = budget;
    this.unit = unit;
    PackSpec spec = model.pack().spec();
    PackSpec.Generation generation =
        spec.generation()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "generation: missing (expected: a model that generates text)"));
    this.sizes = SlotSizes.of(model);
    boolean reads = readsCommonPrefix(model) && encoder.seesTokensOnly();
    this.common = reads ? common.clone() : new long[0];
    LogitsProcessors processors = new LogitsProcessors(options, generation);
    StoppingCriteria stopping =
        new StoppingCriteria(
            generation.eos(),
            options.get(STOP),
            options.get(STOP).isEmpty() ? null : model.tokenizer());
    this.strategy =
        options.get(NUM_BEAMS) > 1
            ? new BeamSearch(options, processors, stopping, generation.eos().size())
            : new SequenceDecoding(options, processors, stopping);
  }

  /** Whether rows of a model that sees tokens only can read what prompts begin with where it is. */
  public static boolean readsCommonPrefix(LoadedModel model) {
    return model.pack().spec().cache().orElseThrow().commonPrefix() && !model.device().isGpu();
  }

  /**
   * Decodes all requests.
   *
   * @return for every request, in order, its sequences: {@code num-return-sequences} of them, for a
   *     beam search the best first (all finished beams are given; at least that many)
   * @throws ai.djl.engine.EngineException if the engine fails; out of memory only if a single group
   *     does not fit
   */
  public List<List<DecodedSequence>> run(List<DecodeRequest<C>> requests) {
    List<Group> groups = new ArrayList<>();
    for (int i = 0; i < requests.size(); i++) {
      for (int sequence = 0; sequence < strategy.groupsPerRequest(); sequence++) {
        groups.add(new Group(requests.get(i), i, sequence));
      }
    }
    List<Group> followers = groups.stream().filter(this::follows).toList();
    if (followers.isEmpty()) {
      decode(groups);
    } else {
      PrefixStore store = PrefixStore.of(model);
      PrefixStore.Kept kept = store.common(common, mostForPrefixes());
      try {
        followers.forEach(g -> g.common = kept);
        decode(groups);
      } finally {
        store.release(kept);
      }
    }
    List<List<DecodedSequence>> results = new ArrayList<>();
    requests.forEach(r -> results.add(new ArrayList<>()));
    groups.forEach(g -> results.get(g.number).addAll(g.finished));
    return results;
  }

  private boolean follows(Group group) {
    long[] tokens = group.request.tokens();
    int length = common.length;
    return length > 0
        && tokens.length > length
        && Arrays.equals(tokens, 0, length, common, 0, length);
  }

  private void decode(List<Group> groups) {
    if (unit == BudgetUnit.SLOTS && sizes.prefix() == 0 && encoder.seesTokensOnly()) {
      groups.stream()
          .collect(Collectors.partitioningBy(g -> g.common == null))
          .values()
          .forEach(DecodeLoop::findShared);
    }
    List<Group> byNeed = new ArrayList<>(groups);
    byNeed.sort(Comparator.comparingInt(this::need).reversed());
    // All rows of a buffer have as many slots as the neediest: one long prompt must not make the
    // slots of short ones long, so the prompts go by classes.
    Runnable told = () -> Steps.done(share(groups));
    List<Group> alike = new ArrayList<>();
    for (Group group : byNeed) {
      if (!alike.isEmpty() && need(group) * 2 < need(alike.get(0))) {
        drain(alike, told);
        alike.clear();
      }
      alike.add(group);
    }
    drain(alike, told);
  }

  /** Finds what prompts that follow the same common prefix, or none, share behind it. */
  private static void findShared(List<Group> groups) {
    List<List<Group>> byRequest =
        List.copyOf(
            groups.stream()
                .collect(Collectors.groupingBy(g -> g.number, TreeMap::new, Collectors.toList()))
                .values());
    SharedPrefix[] shared =
        SharedPrefix.find(byRequest.stream().map(same -> same.get(0).ownTokens()).toList());
    for (int i = 0; i < shared.length; i++) {
      for (Group group : byRequest.get(i)) {
        group.sharing = true;
        group.shared = shared[i];
      }
    }
  }

  /** Sequences that are done, and of the others the share of the tokens that they may have. */
  private static double share(List<Group> groups) {
    double done = 0;
    for (Group group : groups) {
      int tokens =
          group.rows.isEmpty() ? 0 : group.rows.get(0).size() - group.request.tokens().length;
      done += group.done ? 1 : Math.min(1, (double) tokens / group.request.maxNewTokens());
    }
    return done / groups.size();
  }

  private int slotCapacity(Group group) {
    int prompt = group.request.tokens().length - group.commonTokens();
    int last = prompt + group.request.maxNewTokens() - 1;
    // A row that starts again after out of memory is prefilled with all it has.
    return sizes.capacity(last, last);
  }

  private int contextCapacity(Group group) {
    @SuppressWarnings("unchecked") // groups are made of this loop's requests only
    C context = (C) group.request.context();
    return encoder.length(context);
  }

  private int need(Group group) {
    return slotCapacity(group) + contextCapacity(group);
  }

  private void drain(List<Group> groups, Runnable told) {
    // Rows that share a prefix follow one another, so that it is kept while they need it.
    groups.sort(Comparator.comparingInt(g -> g.shared == null ? -1 : g.shared.order()));
    Deque<Group> waiting = new ArrayDeque<>(groups);
    while (!waiting.isEmpty()) {
      int slots = waiting.stream().mapToInt(this::slotCapacity).max().orElseThrow();
      int context = waiting.stream().mapToInt(this::contextCapacity).max().orElseThrow();
      int perGroup = strategy.rowsPerGroup();
      long rowCost = unit == BudgetUnit.SLOTS ? slots + context : 1;
      long fit = (budget.current() - slotsForPrefixes(waiting)) / (rowCost * perGroup);
      int rows = (int) Math.max(1, Math.min(whole(fit), waiting.size())) * perGroup;
      List<Group> live = new ArrayList<>();
      try (SlotBatch<C> batch =
          new SlotBatch<>(model, encoder, rows, slots, context, common(waiting))) {
        drain(waiting, live, batch, told);
      } catch (RuntimeException | OutOfMemoryError e) {
        boolean sharing = groups.stream().anyMatch(g -> g.sharing);
        if (!OutOfMemory.isCauseOf(e) || (rows == perGroup && !sharing)) {
          throw e;
        }
        if (sharing) {
          PrefixStore.of(model).clear();
        }
        if (rows > perGroup) {
          budget.exceeded(rows * rowCost);
        } else {
          // A row that fits alone must not fail for what is kept beside it.
          groups.forEach(g -> g.sharing = false);
        }
      }
      // What is left here was live when memory ran out.
      for (int i = live.size() - 1; i >= 0; i--) {
        if (!live.get(i).done) {
          waiting.addFirst(live.get(i));
        }
      }
    }
  }

  /** Rows that round a step up have slots in any case: where there are several, groups get them. */
  private long whole(long groups) {
    int step = SlotBatch.rowStep(model.device());
    int perGroup = strategy.rowsPerGroup();
    long rows = groups * perGroup;
    return rows < step ? groups : (rows + step - 1) / step * step / perGroup;
  }

  /** A quarter of the budget may go to kept prefixes. */
  private long mostForPrefixes() {
    return budget.current() / PREFIX_SHARE;
  }

  /** Slots that kept prefixes take while these groups are decoded. */
  private long slotsForPrefixes(Collection<Group> groups) {
    PrefixStore.Kept read = common(groups);
    long least = read == null ? 0 : read.slots();
    if (groups.stream().noneMatch(g -> g.sharing)) {
      return least;
    }
    long wanted =
        groups.stream()
            .map(g -> g.shared)
            .filter(Objects::nonNull)
            .distinct()
            .mapToLong(p -> PrefixStore.slots(p.tokens()))
            .sum();
    long taken = Math.max(least + wanted, PrefixStore.of(model).slots());
    return Math.max(least, Math.min(mostForPrefixes(), taken));
  }

  /** The prefix that some of the groups follow; null if none does. */
  private static PrefixStore.Kept common(Collection<Group> groups) {
    return groups.stream().map(g -> g.common).filter(Objects::nonNull).findAny().orElse(null);
  }

  private void drain(Deque<Group> waiting, List<Group> live, SlotBatch<C> batch, Runnable told) {
    int perGroup = strategy.rowsPerGroup();
    int atOnce = Math.max(1, batch.free() / perGroup / JOIN_SHARE);
    int places = batch.free() / perGroup;
    int steps = 0;
    while (!waiting.isEmpty() || !live.isEmpty()) {
      if (Thread.interrupted()) {
        throw new CancellationException("decoding was stopped");
      }
      int free = places - live.size();
      while (free > 0
          && !waiting.isEmpty()
          && (live.isEmpty() || free >= Math.min(atOnce, waiting.size()))) {
        join(waiting, live, free, batch);
        free = places - live.size();
      }
      if (!live.isEmpty()) {
        try (NDManager step = model.newManager()) {
          strategy.advance(batch.step(step), batch.rows(), batch);
        }
        live.removeIf(g -> g.done);
        if (++steps % TOLD_STEPS == 0) {
          told.run();
        }
      }
    }
  }

  private void join(Deque<Group> waiting, List<Group> live, int free, SlotBatch<C> batch) {
    List<Group> joining = new ArrayList<>();
    try {
      List<DecodeRow> rows = new ArrayList<>();
      int length = 0;
      while (joining.size() < free && !waiting.isEmpty()) {
        Group next = waiting.peekFirst();
        findKept(next);
        length = Math.max(length, next.rows.get(0).uncached());
        if (!rows.isEmpty() && (rows.size() + next.rows.size()) * length > PREFILL_TOKENS) {
          releaseKept(next);
          break;
        }
        joining.add(next);
        live.add(waiting.removeFirst());
        rows.addAll(next.rows);
      }
      try (NDManager step = model.newManager()) {
        batch.join(rows, step);
      }
    } finally {
      joining.forEach(this::releaseKept);
    }
  }

  private void findKept(Group group) {
    if (group.sharing) {
      PrefixStore store = PrefixStore.of(model);
      if (group.shared != null) {
        store.keep(group.shared, group.common, mostForPrefixes());
      }
      long[] own = group.ownTokens();
      group.kept = store.longest(own, own.length - 1, group.common);
    }
  }

  private void releaseKept(Group group) {
    if (group.kept != null) {
      PrefixStore.of(model).release(group.kept);
      group.kept = null;
    }
  }
}
