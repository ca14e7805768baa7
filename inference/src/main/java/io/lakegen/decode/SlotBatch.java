package io.lakegen.decode;

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
import java.util.List;

/**
 * The live rows and their slot cache on the device (see the pack format). Live rows are always the
 * first of the buffer, so that a step computes nothing else: a row that leaves is replaced by the
 * last one. Used by one thread.
 */
final class SlotBatch<C> implements AutoCloseable {
  /** libtorch keeps memory for every new shape, so shapes are rounded up. */
  private static final int SLOT_STEP = 32;

  private static final int PREFILL_STEP = 8;

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
  private final int rowCapacity;
  private final int rowStep;
  private final int bufferRows;
  private final int contextCapacity;
  private final List<DecodeRow> live = new ArrayList<>();
  private NDArray cross;
  private NDArray crossMask;

  /**
   * @param rowCapacity rows that may be live; on CPUs the buffer has up to three more
   * @param slotCapacity slots of a row, as {@link #slotCapacity} gives them
   * @param contextCapacity longest context of a row
   */
  SlotBatch(
      LoadedModel model,
      ContextEncoder<C> encoder,
      int rowCapacity,
      int slotCapacity,
      int contextCapacity) {
    this.decoder = model.graph("decoder");
    this.encoder = encoder;
    this.rowCapacity = rowCapacity;
    this.rowStep = model.device().isGpu() ? 1 : CPU_ROW_STEP;
    this.bufferRows = roundUp(rowCapacity, rowStep);
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
    } catch (RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  /** Slots that a row with this many tokens in the cache needs, the rounding of shapes included. */
  static int slotCapacity(int prefix, int promptTokens, int cachedTokens) {
    return roundUp(prefix + Math.max(cachedTokens, roundUp(promptTokens, PREFILL_STEP)), SLOT_STEP);
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
   * which the next step feeds like every row's newest token.
   */
  void join(List<DecodeRow> joined, NDManager step) {
    int first = live.size();
    for (DecodeRow row : joined) {
      row.index = live.size();
      row.cached = row.size() - 1;
      live.add(row);
    }
    int length = roundUp(joined.stream().mapToInt(r -> r.cached).max().orElseThrow(), PREFILL_STEP);
    NDArray view =
        view(step, cache, first, live.size(), roundUp(prefix + Math.max(1, length), SLOT_STEP));
    NDList context = encode(joined, first, view, step);
    if (length == 0) {
      return;
    }
    long[] ids = new long[joined.size() * length];
    long[] slots = new long[ids.length];
    long[] last = new long[joined.size()];
    for (int r = 0; r < last.length; r++) {
      DecodeRow row = joined.get(r);
      for (int t = 0; t < length; t++) {
        ids[r * length + t] = t < row.cached ? row.token(t) : 0;
        slots[r * length + t] = prefix + (long) t;
      }
    }
    decode(ids, slots, last, view, context, step);
  }

  /**
   * Feeds every live row its newest token.
   *
   * @return logits {@code [live, vocabulary]} of each row's next token, owned by {@code step}
   */
  NDArray step(NDManager step) {
    // Free rows that round the batch up write into the slot after their prefix, which the next
    // prompt overwrites; before it, models that see a prefix know no position.
    int rows = Math.min(bufferRows, rounded(live.size()));
    long[] ids = new long[rows];
    long[] slots = new long[rows];
    Arrays.fill(slots, prefix);
    int used = prefix + 1;
    for (DecodeRow row : live) {
      ids[row.index] = row.token(row.cached);
      slots[row.index] = prefix + (long) row.cached;
      row.cached++;
      used = Math.max(used, prefix + row.cached);
    }
    NDArray view = view(step, cache, 0, rows, roundUp(used, SLOT_STEP));
    NDArray logits = decode(ids, slots, new long[rows], view, context(0, rows, live, step), step);
    return rows == live.size() ? logits : logits.get(new NDIndex().addSliceDim(0, live.size()));
  }

  private int rounded(int rows) {
    return roundUp(rows, rows <= 8 ? rowStep : rows <= 32 ? 4 : 16);
  }

  private NDArray decode(
      long[] ids, long[] slots, long[] last, NDArray view, NDList context, NDManager step) {
    Shape shape = new Shape(last.length, ids.length / last.length);
    NDList inputs =
        new NDList(step.create(ids, shape), step.create(slots, shape), step.create(last), view);
    inputs.addAll(context);
    NDArray logits = decoder.run(inputs).head();
    return logits.getDataType() == DataType.FLOAT32
        ? logits
        : logits.toType(DataType.FLOAT32, false);
  }

  private NDList encode(List<DecodeRow> joined, int first, NDArray view, NDManager step) {
    @SuppressWarnings("unchecked") // the loop makes groups of its own requests only
    List<C> inputs = joined.stream().map(r -> (C) r.group.request.context()).toList();
    NDList context = encoder.encode(inputs, view);
    if (context.isEmpty()) {
      return context;
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
    return context(first, end, joined, step);
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

  /** Takes a row out; the last row takes its place. */
  void leave(DecodeRow row) {
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
    copy(cache, from, to.index, prefix + to.cached);
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
