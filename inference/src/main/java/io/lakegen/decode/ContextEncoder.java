package io.lakegen.decode;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import java.util.List;

/**
 * Gives rows what the decoder sees besides tokens: visual tokens at the head of the slot cache, or
 * keys and values for cross attention. Thread-safe.
 *
 * @param <C> a row's input to the encoder
 */
public interface ContextEncoder<C> {

  /**
   * Encodes rows that join the batch.
   *
   * @param inputs one a row
   * @param cache these rows of the slot cache, {@code [layers, 2, rows, heads, slots, headDim]}; an
   *     encoder with a prefix writes its keys and values into slots {@code 0..prefix-1}
   * @return nothing, or cross keys and values {@code [layers, 2, rows, heads, S, headDim]} and
   *     their mask {@code [rows, S]}, owned by the cache's manager
   */
  NDList encode(List<C> inputs, NDArray cache);

  /**
   * S of {@link #encode} for one row, rounded up to the shape the device sees; 0 without context.
   */
  int length(C input);

  /**
   * True if a row's keys and values are made of its tokens alone, so that prompts that begin alike
   * may share them; not so behind a picture, or with cross attention.
   */
  default boolean seesTokensOnly() {
    return false;
  }

  /** For models that see tokens only. */
  static <C> ContextEncoder<C> none() {
    return new ContextEncoder<>() {
      @Override
      public NDList encode(List<C> inputs, NDArray cache) {
        return new NDList();
      }

      @Override
      public int length(C input) {
        return 0;
      }

      @Override
      public boolean seesTokensOnly() {
        return true;
      }
    };
  }
}
