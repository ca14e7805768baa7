package io.lakegen.decode;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.lakegen.model.LoadedModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keys and values of prompts' beginnings, on a model's device, for all who decode with it: those
 * that are copied into the slots of the rows that share them, and common prefixes, which rows read
 * where they are. What was not used for longest makes room for others. Closed with the model.
 * Thread-safe.
 */
final class PrefixStore {
  private static final Logger LOG = LoggerFactory.getLogger(PrefixStore.class);

  private final LoadedModel model;

  /** Least recently used first. */
  private final List<Kept> all = new ArrayList<>();

  private NDManager manager;

  /** A beginning whose keys and values are kept, or are being computed. */
  static final class Kept {
    private final long[] tokens;
    private final Kept common;
    private final boolean isCommon;
    private final CountDownLatch settled = new CountDownLatch(1);

    /** Null until they are computed. */
    private NDList arrays;

    /** Who may be reading it; it is not closed before they have ended. */
    private int users;

    private Kept(long[] tokens, Kept common, boolean isCommon) {
      this.tokens = tokens;
      this.common = common;
      this.isCommon = isCommon;
    }

    /** Tokens of it. */
    int length() {
      return tokens.length;
    }

    long[] tokens() {
      return tokens;
    }

    /** Whether rows read it where it is. */
    boolean isCommon() {
      return isCommon;
    }

    /** The common prefix that it stands behind; null for none. */
    Kept common() {
      return common;
    }

    /**
     * Of a common prefix keys {@code [layers, heads, length, headDim]} and values {@code [layers,
     * heads, headDim, length]}; of another {@code [layers, 2, 1, heads, slots, headDim]}, with at
     * least {@link #length} slots.
     */
    NDList arrays() {
      return arrays;
    }

    private boolean is(Kept other) {
      return isCommon == other.isCommon
          && common == other.common
          && Arrays.equals(tokens, other.tokens);
    }

    /** Slots of the budget that it takes. */
    int slots() {
      return PrefixStore.slots(tokens);
    }
  }

  private PrefixStore(LoadedModel model) {
    this.model = model;
  }

  /** The store of a model. */
  static PrefixStore of(LoadedModel model) {
    return model.shared(PrefixStore.class, PrefixStore.class, () -> new PrefixStore(model));
  }

  /** Slots that are taken. */
  synchronized long slots() {
    return all.stream().mapToLong(Kept::slots).sum();
  }

  /** Slots that a prefix takes. */
  static int slots(long[] tokens) {
    return (tokens.length + SlotSizes.STEP - 1) / SlotSizes.STEP * SlotSizes.STEP;
  }

  /**
   * Makes sure that a prefix is kept, or that there is no room for it. One thread computes it, the
   * others wait.
   *
   * @param common what its tokens stand behind; null for nothing
   * @param most slots that the store may take
   * @throws ai.djl.engine.EngineException if the engine fails, out of memory included; the prefix
   *     is not kept then
   */
  void keep(SharedPrefix prefix, Kept common, long most) {
    Kept wanted = new Kept(prefix.tokens(), common, false);
    if (prefix.parent() != null && !holds(wanted)) {
      keep(prefix.parent(), common, most);
    }
    release(hold(wanted, most));
  }

  /**
   * A common prefix, computed if need be, for reading until it is {@linkplain #release released}.
   *
   * @param most slots that the store may take; what nobody uses makes room, and it is kept without
   * @throws ai.djl.engine.EngineException if the engine fails, out of memory included
   */
  Kept common(long[] tokens, long most) {
    Kept found;
    do {
      // Empty-handed only where another thread failed to compute it.
      found = hold(new Kept(tokens, null, true), most);
    } while (found == null);
    return found;
  }

  /** Null without room, or if another thread failed to compute it. */
  private Kept hold(Kept wanted, long most) {
    Kept found = add(wanted, most);
    if (found == wanted) {
      compute(wanted);
    } else if (found != null) {
      try {
        found.settled.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        release(found);
        throw new CancellationException("decoding was stopped");
      }
      if (found.arrays == null) {
        return null;
      }
    }
    return found;
  }

  private synchronized boolean holds(Kept wanted) {
    return all.stream().anyMatch(wanted::is);
  }

  /** Adds an entry that the caller computes, or gives what another has added; null without room. */
  private synchronized Kept add(Kept mine, long most) {
    Kept same = all.stream().filter(mine::is).findFirst().orElse(null);
    if (same != null) {
      use(same);
      return same;
    }
    long needed = mine.slots();
    long inUse = all.stream().filter(k -> k.users > 0).mapToLong(Kept::slots).sum();
    if (inUse + needed > most && !mine.isCommon) {
      return null;
    }
    for (int i = 0; i < all.size() && slots() + needed > most; ) {
      if (all.get(i).users > 0) {
        i++;
      } else {
        drop(all.get(i));
      }
    }
    mine.users++;
    all.add(mine);
    return mine;
  }

  private void compute(Kept mine) {
    Kept start = null;
    try {
      start = mine.isCommon ? null : longest(mine.tokens, mine.tokens.length, mine.common);
      NDList computed = SlotBatch.prefix(model, mine, start, manager());
      synchronized (this) {
        mine.arrays = computed;
      }
      LOG.debug("{} tokens that prompts share are kept", mine.tokens.length);
    } finally {
      release(start);
      synchronized (this) {
        if (mine.arrays == null) {
          all.remove(mine);
        }
      }
      mine.settled.countDown();
    }
  }

  private synchronized NDManager manager() {
    if (manager == null) {
      manager = model.newManager();
    }
    return manager;
  }

  /**
   * The longest kept beginning of tokens, for reading until it is {@linkplain #release released}.
   *
   * @param limit tokens that it may have at most
   * @param common what the tokens stand behind; null for nothing
   * @return null if there is none
   */
  synchronized Kept longest(long[] tokens, int limit, Kept common) {
    Kept best = null;
    for (Kept kept : all) {
      if (kept.arrays != null
          && !kept.isCommon
          && kept.common == common
          && kept.length() <= limit
          && (best == null || kept.length() > best.length())
          && Arrays.equals(kept.tokens, 0, kept.length(), tokens, 0, kept.length())) {
        best = kept;
      }
    }
    if (best != null) {
      use(best);
    }
    return best;
  }

  private void use(Kept kept) {
    all.remove(kept);
    all.add(kept);
    kept.users++;
  }

  /** Ends the use of what {@link #longest} or {@link #common} gave; null is nothing. */
  synchronized void release(Kept kept) {
    if (kept != null) {
      kept.users--;
    }
  }

  /** Gives memory back: all that nobody uses. */
  synchronized void clear() {
    List.copyOf(all).stream().filter(k -> k.users == 0).forEach(this::drop);
  }

  private void drop(Kept kept) {
    kept.arrays.close();
    all.remove(kept);
  }
}
