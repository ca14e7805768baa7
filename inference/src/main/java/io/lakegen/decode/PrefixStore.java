package io.lakegen.decode;

import ai.djl.ndarray.NDArray;
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
 * Keys and values of prompts' shared beginnings, on a model's device, for all who decode with it.
 * What was not used for longest makes room for others. Closed with the model. Thread-safe.
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
    private final CountDownLatch settled = new CountDownLatch(1);

    /** Null until they are computed. */
    private NDArray cache;

    /** Who may be reading it; it is not closed before they have ended. */
    private int users;

    private Kept(long[] tokens) {
      this.tokens = tokens;
    }

    /** Tokens of it. */
    int length() {
      return tokens.length;
    }

    /** {@code [layers, 2, 1, heads, slots, headDim]}, with at least {@link #length} slots. */
    NDArray cache() {
      return cache;
    }

    private int slots() {
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
   * @param most slots that the store may take
   * @throws ai.djl.engine.EngineException if the engine fails, out of memory included; the prefix
   *     is not kept then
   */
  void keep(SharedPrefix prefix, long most) {
    Kept found = find(prefix.tokens());
    if (found == null) {
      if (prefix.parent() != null) {
        keep(prefix.parent(), most);
      }
      Kept mine = new Kept(prefix.tokens());
      found = add(mine, most);
      if (found == mine) {
        compute(mine);
      }
    }
    if (found != null) {
      try {
        found.settled.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancellationException("decoding was stopped");
      }
    }
  }

  private synchronized Kept find(long[] tokens) {
    return all.stream().filter(k -> Arrays.equals(k.tokens, tokens)).findFirst().orElse(null);
  }

  /** Adds an entry that the caller computes, or gives what another has added; null without room. */
  private synchronized Kept add(Kept mine, long most) {
    Kept other = find(mine.tokens);
    if (other != null) {
      return other;
    }
    long needed = mine.slots();
    long inUse = all.stream().filter(k -> k.users > 0).mapToLong(Kept::slots).sum();
    if (inUse + needed > most) {
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
      start = longest(mine.tokens, mine.tokens.length);
      NDArray computed = SlotBatch.prefix(model, mine.tokens, start, manager());
      synchronized (this) {
        mine.cache = computed;
      }
      LOG.debug("{} tokens that prompts share are kept", mine.tokens.length);
    } finally {
      release(start);
      synchronized (this) {
        mine.users--;
        if (mine.cache == null) {
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
   * @return null if there is none
   */
  synchronized Kept longest(long[] tokens, int limit) {
    Kept best = null;
    for (Kept kept : all) {
      if (kept.cache != null
          && kept.length() <= limit
          && (best == null || kept.length() > best.length())
          && Arrays.equals(kept.tokens, 0, kept.length(), tokens, 0, kept.length())) {
        best = kept;
      }
    }
    if (best != null) {
      all.remove(best);
      all.add(best);
      best.users++;
    }
    return best;
  }

  /** Ends the use of what {@link #longest} gave; null is nothing. */
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
    kept.cache.close();
    all.remove(kept);
  }
}
