package io.lakegen.decode;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The live rows and their slot cache on the device (see the pack format). Live rows are always the
 * first of the buffer, so that a step computes nothing else: a row that leaves is replaced by the
 * last one. Used by one thread.
 */
final class SlotBatch<C> implements AutoCloseable {
  private static final int PREFILL_STEP = SharedPrefix.STEP;

  /**
   * Below so many tokens, padding costs a CPU less than a call of its own. On a GPU any padding
   * that the loop lets together does: a call takes as long as thousands of tokens.
   */
  private static final int SHORT_PREFILL = 64;

  /**
   * On CPUs, matrix products of one to three rows, or of a number that threads share unevenly, run
   * other kernels than all others and round otherwise: a sampled text would depend on what shared
   * its batch. Steps of whole multiples of four round alike (MKL, seen with 1 to 8 threads).
   */
  private static final int CPU_ROW_STEP = 4;

  private final Graph decoder;
  private final ContextEncoder<C> encoder;
  private final NDManager manager;
  private final NDArray cache;
  private final int prefix;
  private final NDList common;
  private final int rowCapacity;
  private final int rowStep;
  private final int shortPrefill;
  private final int bufferRows;
  private final SlotSizes sizes;
  private final int slotCapacity;
  private final int contextCapacity;
  private final List<DecodeRow> live = new ArrayList<>();

  /** The kept prefix that each row of the buffer still begins with; null for none. */
  private final PrefixStore.Kept[] held;

  private NDArray cross;
  private NDArray crossMask;

  /**
   * @param rowCapacity rows that may be live; on CPUs the buffer has up to three more
   * @param slotCapacity slots of a row, as {@link SlotSizes#capacity} gives them
   * @param contextCapacity longest context of a row
   * @param common the prefix that rows may follow; null for none
   */
  SlotBatch(
      LoadedModel model,
      ContextEncoder<C> encoder,
      int rowCapacity,
      int slotCapacity,
      int contextCapacity,
      PrefixStore.Kept common) {
    this.decoder = model.graph("decoder");
    this.encoder = encoder;
    this.rowCapacity = rowCapacity;
    this.rowStep = rowStep(model.device());
    this.shortPrefill = model.device().isGpu() ? Integer.MAX_VALUE : SHORT_PREFILL;
    this.bufferRows = roundUp(rowCapacity, rowStep);
    this.held = new PrefixStore.Kept[bufferRows];
    this.sizes = SlotSizes.of(model);
    this.slotCapacity = slotCapacity;
    this.contextCapacity = contextCapacity;
    PackSpec.Cache spec = model.pack().spec().cache().orElseThrow();
    this.prefix = spec.prefix();
    this.manager = model.newManager();
    DataType type =
        model.pack().spec().dtype() == PackSpec.Dtype.float16 ? DataType.FLOAT16 : DataType.FLOAT32;
    try {
      this.cache =
          manager.zeros(
              new Shape(spec.layers(), 2, bufferRows, spec.heads(), slotCapacity, spec.headDim()),
              type);
      this.common = common == null ? withoutCommonPrefix(spec) : common.arrays();
    } catch (RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  /** The decoder's keys and values of no tokens; nothing where it has no such inputs. */
  private NDList withoutCommonPrefix(PackSpec.Cache spec) {
    return spec.commonPrefix()
        ? new NDList(
            manager.zeros(new Shape(spec.layers(), spec.heads(), 0, spec.headDim())),
            manager.zeros(new Shape(spec.layers(), spec.heads(), spec.headDim(), 0)))
        : new NDList();
  }

  /** A step computes a multiple of so many rows. */
  static int rowStep(Device device) {
    return device.isGpu() ? 1 : CPU_ROW_STEP;
  }

  private static int roundUp(int value, int step) {
    return (value + step - 1) / step * step;
  }

  /** Live rows in the order of the buffer. */
  List<DecodeRow> rows() {
    return List.copyOf(live);
  }

  int free() {
    return rowCapacity - live.size();
  }

  /**
   * Takes rows in: fills their contexts and the keys and values of all their tokens but the last,
   * which the next step feeds like every row's newest token. Prefixes that are kept are copied, and
   * of rows that start from the same request, only the first is computed.
   */
  void join(List<DecodeRow> joined, NDManager step) {
    Map<DecodeRow, DecodeRow> twins = new LinkedHashMap<>();
    IdentityHashMap<DecodeRequest<?>, DecodeRow> started = new IdentityHashMap<>();
    List<DecodeRow> computed = new ArrayList<>();
    for (DecodeRow row : joined) {
      row.cached = row.size() - 1;
      DecodeRow same = row.generated() > 0 ? null : started.putIfAbsent(row.group.request, row);
      if (same == null) {
        computed.add(row);
      } else {
        twins.put(row, same);
      }
    }
    computed.sort(Comparator.comparingInt(DecodeRow::uncached).reversed());
    int first = live.size();
    computed.forEach(this::add);
    int length = roundUp(computed.get(0).uncached(), PREFILL_STEP);
    encode(
        computed,
        first,
        view(step, cache, first, live.size(), sizes.view(prefix + Math.max(1, length))));
    for (int from = 0; from < computed.size(); ) {
      int to = prefillEnd(computed, from);
      prefill(computed.subList(from, to), step);
      from = to;
    }
    twins.keySet().forEach(this::add);
    twins.forEach((row, same) -> copy(same.index, row));
  }

  private void add(DecodeRow row) {
    row.index = live.size();
    live.add(row);
  }

  /**
   * Rows of one call are padded to the first, the longest: it ends before rows much shorter, and
   * before rows that have no slots for so much padding.
   */
  private int prefillEnd(List<DecodeRow> rows, int from) {
    int length = roundUp(rows.get(from).uncached(), PREFILL_STEP);
    int to = from + 1;
    while (to < rows.size()
        && (length <= shortPrefill || rows.get(to).uncached() * 2 >= length)
        && prefix + rows.get(to).keptTokens() + length <= slotCapacity) {
      to++;
    }
    return to;
  }

  private void prefill(List<DecodeRow> rows, NDManager step) {
    for (DecodeRow row : rows) {
      PrefixStore.Kept wanted = row.group.kept;
      if (wanted != null && wanted != held[row.index]) {
        NDArray kept = wanted.arrays().head();
        try (NDArray used = view(kept.getManager(), kept, 0, 1, row.keptTokens())) {
          cache.set(slice(row.index, row.index + 1, row.keptTokens()), used);
        }
      }
      held[row.index] = wanted;
    }
    int length = roundUp(rows.get(0).uncached(), PREFILL_STEP);
    if (length == 0) {
      return;
    }
    long[] ids = new long[rows.size() * length];
    long[] slots = new long[ids.length];
    long[] offset = new long[rows.size()];
    int used = 0;
    for (int r = 0; r < rows.size(); r++) {
      DecodeRow row = rows.get(r);
      int start = row.keptTokens();
      offset[r] = row.group.commonTokens();
      for (int t = 0; t < length; t++) {
        int token = row.group.commonTokens() + start + t;
        ids[r * length + t] = token < row.cached ? row.token(token) : 0;
        slots[r * length + t] = prefix + start + (long) t;
      }
      used = Math.max(used, prefix + start + length);
    }
    int from = rows.get(0).index;
    int to = from + rows.size();
    NDArray view = view(step, cache, from, to, sizes.view(used));
    decode(ids, slots, offset, view, context(from, to, rows, step), step);
  }

  /**
   * Computes keys and values that rows can start from.
   *
   * @param wanted whose tokens they are
   * @param start a beginning of the tokens that is kept already; null for none
   * @return what {@link PrefixStore.Kept#arrays} says, owned by {@code owner}
   */
  static NDList prefix(
      LoadedModel model, PrefixStore.Kept wanted, PrefixStore.Kept start, NDManager owner) {
    PrefixStore.Kept common = wanted.common();
    long[] before = common == null ? new long[0] : common.tokens();
    long[] own = wanted.tokens();
    // A row's last token is left to the next step: one more than is wanted.
    long[] whole = Arrays.copyOf(before, before.length + own.length + 1);
    System.arraycopy(own, 0, whole, before.length, own.length);
    DecodeRow.Group group = new DecodeRow.Group(new DecodeRequest<>(whole, 1, 0, null), 0, 0);
    group.common = common;
    group.kept = start;
    int slots = SlotSizes.of(model).capacity(own.length, own.length);
    try (SlotBatch<Object> batch =
            new SlotBatch<>(model, ContextEncoder.none(), 1, slots, 0, common);
        NDManager step = model.newManager()) {
      batch.join(group.rows, step);
      NDList computed =
          wanted.isCommon()
              ? batch.common(own.length, step)
              : new NDList(view(step, batch.cache, 0, 1, wanted.slots()).duplicate());
      computed.attach(owner);
      return computed;
    }
  }

  /** Keys, and transposed values, of the first row's first tokens. */
  private NDList common(int length, NDManager step) {
    NDIndex index = new NDIndex().addAllDim().addIndices(0).addIndices(0).addAllDim();
    NDArray keys = cache.get(step, index.addSliceDim(0, length)).duplicate();
    index = new NDIndex().addAllDim().addIndices(1).addIndices(0).addAllDim();
    NDArray found = cache.get(step, index.addSliceDim(0, length));
    Shape s = found.getShape();
    // A copy of a transposed view would keep its order in memory.
    NDArray values = step.zeros(new Shape(s.get(0), s.get(1), s.get(3), s.get(2)));
    values.set(new NDIndex(":"), found.transpose(0, 1, 3, 2));
    return new NDList(keys, values);
  }

  /**
   * Feeds every live row its newest token.
   *
   * @return logits {@code [live, vocabulary]} of each row's next token, owned by {@code step}
   */
  NDArray step(NDManager step) {
    // Free rows that round the batch up write into the slot after their prefix, an image's or a
    // kept one, which the next prompt overwrites; before it, models that see an image know no
    // position.
    int rows = Math.min(bufferRows, rounded(live.size()));
    long[] ids = new long[rows];
    long[] slots = new long[rows];
    long[] offset = new long[rows];
    int used = prefix + 1;
    for (DecodeRow row : live) {
      ids[row.index] = row.token(row.cached);
      slots[row.index] = usedSlots(row);
      offset[row.index] = row.group.commonTokens();
      row.cached++;
      used = Math.max(used, usedSlots(row));
    }
    for (int r = live.size(); r < rows; r++) {
      if (held[r] != null && prefix + held[r].length() >= used) {
        held[r] = null;
      }
      slots[r] = (long) prefix + (held[r] == null ? 0 : held[r].length());
    }
    NDArray view = view(step, cache, 0, rows, sizes.view(used));
    NDArray logits = decode(ids, slots, offset, view, context(0, rows, live, step), step);
    return rows == live.size() ? logits : logits.get(new NDIndex().addSliceDim(0, live.size()));
  }

  /** The first slots of a row that hold something. */
  private int usedSlots(DecodeRow row) {
    return prefix + row.cached - row.group.commonTokens();
  }

  private int rounded(int rows) {
    return roundUp(rows, rows <= 8 ? rowStep : rows <= 32 ? 4 : 16);
  }

  /**
   * @param offset tokens of the common prefix that each row follows
   */
  private NDArray decode(
      long[] ids, long[] slots, long[] offset, NDArray view, NDList context, NDManager step) {
    int rows = offset.length;
    Shape shape = new Shape(rows, ids.length / rows);
    NDArray last = step.create(new long[rows]);
    NDList inputs = new NDList(step.create(ids, shape), step.create(slots, shape), last, view);
    if (!common.isEmpty()) {
      inputs.addAll(common);
      inputs.add(step.create(offset));
    }
    inputs.addAll(context);
    NDArray logits = decoder.run(inputs).head();
    return logits.getDataType() == DataType.FLOAT32
        ? logits
        : logits.toType(DataType.FLOAT32, false);
  }

  private void encode(List<DecodeRow> joined, int first, NDArray view) {
    @SuppressWarnings("unchecked") // the loop makes groups of its own requests only
    List<C> inputs = joined.stream().map(r -> (C) r.group.request.context()).toList();
    NDList context = encoder.encode(inputs, view);
    if (context.isEmpty()) {
      return;
    }
    NDArray keys = context.get(0);
    NDArray mask = context.get(1);
    if (cross == null) {
      Shape s = keys.getShape();
      cross =
          manager.zeros(
              new Shape(s.get(0), s.get(1), bufferRows, s.get(3), contextCapacity, s.get(5)),
              keys.getDataType());
      // Ones: attention over nothing is NaN, and free rows take part in a rounded batch.
      crossMask = manager.ones(new Shape(bufferRows, contextCapacity), mask.getDataType());
    }
    int end = first + joined.size();
    long length = keys.getShape().get(4);
    cross.set(slice(first, end, length), keys);
    NDIndex rows = new NDIndex().addSliceDim(first, end).addSliceDim(0, contextCapacity);
    crossMask.set(rows, mask.pad(new Shape(0, contextCapacity - length), 0));
  }

  private NDList context(int from, int to, List<DecodeRow> rows, NDManager step) {
    if (cross == null) {
      return new NDList();
    }
    int length = rows.stream().mapToInt(this::contextLength).max().orElseThrow();
    return new NDList(
        view(step, cross, from, to, length),
        crossMask.get(step, new NDIndex().addSliceDim(from, to).addSliceDim(0, length)));
  }

  private int contextLength(DecodeRow row) {
    @SuppressWarnings("unchecked") // see encode
    C context = (C) row.group.request.context();
    return encoder.length(context);
  }

  private static NDArray view(NDManager owner, NDArray buffer, int from, int to, long slots) {
    return buffer.get(owner, slice(from, to, slots));
  }

  private static NDIndex slice(int from, int to, long slots) {
    return new NDIndex().addAllDim(2).addSliceDim(from, to).addAllDim().addSliceDim(0, slots);
  }

  /** Takes rows out; the last of those that stay take their places. */
  void leave(Collection<DecodeRow> rows) {
    // From the last on, so that none is moved that leaves as well.
    rows.stream()
        .sorted(Comparator.comparingInt((DecodeRow row) -> row.index).reversed())
        .forEach(this::leave);
  }

  private void leave(DecodeRow row) {
    DecodeRow last = live.remove(live.size() - 1);
    if (last != row) {
      int from = last.index;
      live.set(row.index, last);
      last.index = row.index;
      copy(from, last);
    }
  }

  /** Adds a row that has the keys and values of {@code parent}. */
  void fork(DecodeRow parent, DecodeRow child) {
    child.index = live.size();
    live.add(child);
    copy(parent.index, child);
  }

  /** Puts a row, with the keys and values of {@code parent}, in the place of another. */
  void replace(DecodeRow parent, DecodeRow dead, DecodeRow child) {
    adopt(dead, child);
    copy(parent.index, child);
  }

  /** Puts a row in the place of another whose keys and values it shares. */
  void adopt(DecodeRow former, DecodeRow child) {
    child.index = former.index;
    live.set(child.index, child);
  }

  private void copy(int from, DecodeRow to) {
    copy(cache, from, to.index, usedSlots(to));
    held[to.index] = held[from];
    if (cross != null) {
      copy(cross, from, to.index, contextCapacity);
      try (NDArray row = crossMask.get(new NDIndex().addSliceDim(from, from + 1))) {
        crossMask.set(new NDIndex().addSliceDim(to.index, to.index + 1), row);
      }
    }
  }

  private static void copy(NDArray buffer, int from, int to, int used) {
    try (NDArray row = view(buffer.getManager(), buffer, from, from + 1, used)) {
      buffer.set(slice(to, to + 1, used), row);
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
