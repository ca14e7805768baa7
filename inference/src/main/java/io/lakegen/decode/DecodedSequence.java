package io.lakegen.decode;

/**
 * A generated sequence.
 *
 * @param tokens the new tokens; the end token is the last where there is one
 * @param reason why it ended
 * @param logProbability sum of the tokens' log-probabilities under the model itself, before any
 *     processor, natural logarithm
 * @param score what a beam search ranks by: the processed log-probability divided by length to the
 *     length penalty; {@code logProbability} otherwise
 */
public record DecodedSequence(
    long[] tokens, FinishReason reason, double logProbability, double score) {

  /** Why a sequence ended; the names appear in the output. */
  public enum FinishReason {
    /** The model gave an end token. */
    eos,
    /** The sequence has as many tokens as it may have. */
    length,
    /** A stop text came up. */
    stop
  }
}
