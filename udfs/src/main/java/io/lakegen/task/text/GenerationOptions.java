package io.lakegen.task.text;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/**
 * How tokens are chosen and when a sequence ends, with the names, defaults and meaning of Hugging
 * Face's {@code GenerationConfig}.
 *
 * @param maxNewTokens most tokens that are generated for a sequence
 * @param minNewTokens the end token is forbidden before this many tokens
 * @param doSample draw from the distribution instead of taking the best token
 * @param temperature divides the logits before a draw
 * @param topK only the k best tokens are drawn; 0 for all
 * @param topP only the best tokens whose probabilities sum to p are drawn; 1 for all
 * @param repetitionPenalty lowers tokens that the prompt or the sequence has (CTRL, arXiv
 *     1909.05858, section 4.1); 1 for none
 * @param noRepeatNgramSize no n-gram of this size comes twice; 0 for any
 * @param numBeams beams of a beam search; 1 for none
 * @param lengthPenalty a beam's score is its log-probability divided by length to this power
 * @param numReturnSequences sequences for each prompt
 * @param stop texts that end a sequence; the sequence is cut before them
 */
public record GenerationOptions(
    int maxNewTokens,
    int minNewTokens,
    boolean doSample,
    double temperature,
    int topK,
    double topP,
    double repetitionPenalty,
    int noRepeatNgramSize,
    int numBeams,
    double lengthPenalty,
    int numReturnSequences,
    List<String> stop)
    implements Serializable {

  private static final int DEFAULT_TOP_K = 50;

  /**
   * @throws IllegalArgumentException if anything is wrong; the message names every mistake
   */
  @SuppressWarnings("MissingSummary")
  public GenerationOptions {
    stop = List.copyOf(stop);
    List<String> problems = new ArrayList<>();
    atLeast(problems, "max-new-tokens", maxNewTokens, 1);
    atLeast(problems, "min-new-tokens", minNewTokens, 0);
    if (minNewTokens > maxNewTokens) {
      problems.add(
          "min-new-tokens: "
              + minNewTokens
              + " (expected: at most max-new-tokens "
              + maxNewTokens
              + ")");
    }
    if (!(temperature > 0) || Double.isInfinite(temperature)) {
      problems.add(
          "temperature: "
              + temperature
              + " (expected: above 0; leave out do-sample for the best token)");
    }
    atLeast(problems, "top-k", topK, 0);
    if (!(topP > 0 && topP <= 1)) {
      problems.add("top-p: " + topP + " (expected: above 0, at most 1)");
    }
    if (!(repetitionPenalty > 0) || Double.isInfinite(repetitionPenalty)) {
      problems.add("repetition-penalty: " + repetitionPenalty + " (expected: above 0; 1 for none)");
    }
    atLeast(problems, "no-repeat-ngram-size", noRepeatNgramSize, 0);
    atLeast(problems, "num-beams", numBeams, 1);
    atLeast(problems, "num-return-sequences", numReturnSequences, 1);
    if (Double.isNaN(lengthPenalty) || Double.isInfinite(lengthPenalty)) {
      problems.add("length-penalty: " + lengthPenalty + " (expected: a number)");
    }
    if (doSample && numBeams > 1) {
      problems.add("num-beams: " + numBeams + " (expected: 1 with do-sample)");
    }
    if (!doSample && (temperature != 1 || topP != 1 || topK != DEFAULT_TOP_K)) {
      problems.add("do-sample: false (expected: true with temperature, top-k or top-p)");
    }
    if (!doSample && numReturnSequences > numBeams) {
      problems.add(
          "num-return-sequences: "
              + numReturnSequences
              + " (expected: at most num-beams "
              + numBeams
              + ", or do-sample)");
    }
    if (stop.stream().anyMatch(String::isEmpty)) {
      problems.add("stop: an empty text (expected: at least one character)");
    }
    if (!problems.isEmpty()) {
      throw new IllegalArgumentException(String.join("\n", problems));
    }
  }

  private static void atLeast(List<String> problems, String key, int value, int least) {
    if (value < least) {
      problems.add(key + ": " + value + " (expected: " + least + " or more)");
    }
  }

  /** Hugging Face's defaults: greedy, 20 new tokens. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects options; every method is named after its option. Not thread-safe. */
  public static final class Builder {
    private int maxNewTokens = 20;
    private int minNewTokens;
    private boolean doSample;
    private double temperature = 1;
    private int topK = DEFAULT_TOP_K;
    private double topP = 1;
    private double repetitionPenalty = 1;
    private int noRepeatNgramSize;
    private int numBeams = 1;
    private double lengthPenalty = 1;
    private int numReturnSequences = 1;
    private List<String> stop = List.of();

    private Builder() {}

    public Builder maxNewTokens(int value) {
      maxNewTokens = value;
      return this;
    }

    public Builder minNewTokens(int value) {
      minNewTokens = value;
      return this;
    }

    /** Draw tokens instead of taking the best. */
    public Builder sampling() {
      doSample = true;
      return this;
    }

    public Builder temperature(double value) {
      temperature = value;
      return this;
    }

    public Builder topK(int value) {
      topK = value;
      return this;
    }

    public Builder topP(double value) {
      topP = value;
      return this;
    }

    public Builder repetitionPenalty(double value) {
      repetitionPenalty = value;
      return this;
    }

    public Builder noRepeatNgramSize(int value) {
      noRepeatNgramSize = value;
      return this;
    }

    public Builder numBeams(int value) {
      numBeams = value;
      return this;
    }

    public Builder lengthPenalty(double value) {
      lengthPenalty = value;
      return this;
    }

    public Builder numReturnSequences(int value) {
      numReturnSequences = value;
      return this;
    }

    public Builder stop(List<String> value) {
      stop = value;
      return this;
    }

    /**
     * @throws IllegalArgumentException see {@link GenerationOptions}
     */
    @SuppressWarnings("MissingSummary")
    public GenerationOptions build() {
      return new GenerationOptions(
          maxNewTokens,
          minNewTokens,
          doSample,
          temperature,
          topK,
          topP,
          repetitionPenalty,
          noRepeatNgramSize,
          numBeams,
          lengthPenalty,
          numReturnSequences,
          stop);
    }
  }
}
