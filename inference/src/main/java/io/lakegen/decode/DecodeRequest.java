package io.lakegen.decode;

/**
 * One prompt for the decoding loop.
 *
 * @param tokens the decoder's first tokens, at least one: the prompt of a causal model, the start
 *     token of an encoder-decoder model
 * @param maxNewTokens most tokens to generate for it, at least 1
 * @param seed the row's own seed
 * @param context what {@link ContextEncoder} makes the row's context of
 */
public record DecodeRequest<C>(long[] tokens, int maxNewTokens, long seed, C context) {
  public DecodeRequest {
    if (tokens.length == 0) {
      throw new IllegalArgumentException("tokens: none (expected: at least one)");
    }
    if (maxNewTokens < 1) {
      throw new IllegalArgumentException(
          "maxNewTokens: " + maxNewTokens + " (expected: 1 or more)");
    }
  }
}
