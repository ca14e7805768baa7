package io.lakegen.decode;

import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import java.util.List;
import java.util.stream.Stream;

/**
 * How tokens are chosen and when a sequence ends, for every task that decodes text, with the names,
 * defaults and meaning of Hugging Face's {@code GenerationConfig}.
 */
public final class DecodingOptions {
  public static final Option<Integer> MAX_NEW_TOKENS =
      Option.ofInt("max-new-tokens", 20, "Most tokens of a generated text.")
          .where("1 or more", n -> n >= 1);

  public static final Option<Integer> MIN_NEW_TOKENS =
      Option.ofInt("min-new-tokens", 0, "No text ends before this many tokens.")
          .where("0 or more", n -> n >= 0);

  public static final Option<Boolean> DO_SAMPLE =
      Option.flag("do-sample", "Draw tokens by their probabilities instead of taking the best.");

  public static final Option<Double> TEMPERATURE =
      Option.ofDouble("temperature", 1, "Sampling: divides the logits.")
          .where(
              "above 0; leave out do-sample for the best token", t -> t > 0 && Double.isFinite(t));

  public static final Option<Integer> TOP_K =
      Option.ofInt("top-k", 50, "Sampling: only the N best tokens; 0 for all.")
          .where("0 or more", n -> n >= 0);

  public static final Option<Double> TOP_P =
      Option.ofDouble(
              "top-p", 1, "Sampling: only the best tokens whose probabilities sum to X; 1 for all.")
          .where("above 0, at most 1", p -> p > 0 && p <= 1);

  /** CTRL, arXiv 1909.05858, section 4.1. */
  public static final Option<Double> REPETITION_PENALTY =
      Option.ofDouble("repetition-penalty", 1, "Above 1, tokens that came before are less likely.")
          .where("above 0; 1 for none", p -> p > 0 && Double.isFinite(p));

  public static final Option<Integer> NO_REPEAT_NGRAM_SIZE =
      Option.ofInt("no-repeat-ngram-size", 0, "No N tokens come twice in a row; 0 for any.")
          .where("0 or more", n -> n >= 0);

  public static final Option<Integer> NUM_BEAMS =
      Option.ofInt(
              "num-beams", 1, "Beams of a beam search, which goes without sampling; 1 for none.")
          .where("1 or more", n -> n >= 1);

  /** A beam's score is its log-probability divided by length to this power. */
  public static final Option<Double> LENGTH_PENALTY =
      Option.ofDouble("length-penalty", 1, "Beam search: above 0 favours long texts.");

  public static final Option<Integer> NUM_RETURN_SEQUENCES =
      Option.ofInt(
              "num-return-sequences",
              1,
              "Texts for every input row, each a row of its own, told apart by sequence_index.")
          .where("1 or more", n -> n >= 1);

  public static final Option<List<String>> STOP =
      Option.ofTexts(
              "stop",
              "TEXT",
              "Ends a text, which is cut before it; a line break in bash is $'\\n'.")
          .where("at least one character in each", s -> s.stream().noneMatch(String::isEmpty));

  private static final List<Option<?>> ALL =
      List.of(
          MAX_NEW_TOKENS,
          MIN_NEW_TOKENS,
          DO_SAMPLE,
          TEMPERATURE,
          TOP_K,
          TOP_P,
          REPETITION_PENALTY,
          NO_REPEAT_NGRAM_SIZE,
          NUM_BEAMS,
          LENGTH_PENALTY,
          NUM_RETURN_SEQUENCES,
          STOP);

  private DecodingOptions() {}

  /** A task's own options and, after them, all of these. */
  public static List<Option<?>> with(Option<?>... own) {
    return Stream.concat(Stream.of(own), ALL.stream()).toList();
  }

  /** Checks them together. */
  public static void check(OptionValues options, Problems problems) {
    int most = options.get(MAX_NEW_TOKENS);
    int beams = options.get(NUM_BEAMS);
    if (options.get(MIN_NEW_TOKENS) > most) {
      problems.add(
          MIN_NEW_TOKENS.name(), options.get(MIN_NEW_TOKENS), "at most max-new-tokens " + most);
    }
    if (options.get(DO_SAMPLE)) {
      if (beams > 1) {
        problems.add(NUM_BEAMS.name(), beams, "1 with do-sample");
      }
      return;
    }
    if (options.get(TEMPERATURE) != 1
        || options.get(TOP_P) != 1
        || !options.get(TOP_K).equals(TOP_K.byDefault())) {
      problems.add(DO_SAMPLE.name(), false, "true with temperature, top-k or top-p");
    }
    if (options.get(NUM_RETURN_SEQUENCES) > beams) {
      problems.add(
          NUM_RETURN_SEQUENCES.name(),
          options.get(NUM_RETURN_SEQUENCES),
          "at most num-beams " + beams + ", or do-sample");
    }
  }

  /** Checks whether a pack can decode, and has room in its context for the new tokens. */
  public static void check(OptionValues options, PackSpec pack, Problems problems) {
    PackSpec.require("tokenizer", pack.tokenizer(), problems);
    PackSpec.require("cache", pack.cache(), problems);
    PackSpec.require("generation", pack.generation(), problems);
    if (pack.generation().isEmpty()) {
      return;
    }
    int context = pack.generation().get().maxLength();
    if (options.get(MAX_NEW_TOKENS) >= context) {
      problems.add(
          MAX_NEW_TOKENS.name(),
          options.get(MAX_NEW_TOKENS),
          "less than the model's context of " + context + " tokens");
    }
  }
}
