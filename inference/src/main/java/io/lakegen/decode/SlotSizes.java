package io.lakegen.decode;

import io.lakegen.model.LoadedModel;

/**
 * How many slots of a row a call of the decoder sees.
 *
 * @param prefix slots that hold what an encoder wrote
 * @param alike whether a row's sums must come out the same beside rows of any length
 */
record SlotSizes(int prefix, boolean alike) {
  /** libtorch keeps memory for every new shape, so shapes are rounded up. */
  static final int STEP = 32;

  /** Attention on CPUs goes over the slots in blocks of so many (libtorch's flash attention). */
  private static final int BLOCK = 512;

  /**
   * A matrix product adds up at most so many values at a time, and cuts more than that into parts
   * by their number (MKL, 192 seen on an AVX2 machine): in a view of 320 slots, the sum over 180 is
   * made of 160 and 20, in one of 352 of 176 and 4. The last block of a view therefore is no longer
   * than this, or whole.
   */
  private static final int WHOLE_SUM = 192;

  /** The sizes of a model. Behind an image all rows have about as many slots. */
  static SlotSizes of(LoadedModel model) {
    int prefix = model.pack().spec().cache().orElseThrow().prefix();
    return new SlotSizes(prefix, prefix == 0 && !model.device().isGpu());
  }

  /** Slots to look at where the fullest row has so many, those of the prefix included. */
  int view(int used) {
    int slots = roundUp(used, STEP);
    return alike && slots % BLOCK > WHOLE_SUM ? roundUp(slots, BLOCK) : slots;
  }

  /** Slots that a row with this many tokens in the cache needs, the rounding of shapes included. */
  int capacity(int promptTokens, int cachedTokens) {
    return view(prefix + Math.max(cachedTokens, roundUp(promptTokens, SharedPrefix.STEP)));
  }

  private static int roundUp(int value, int step) {
    return (value + step - 1) / step * step;
  }
}
