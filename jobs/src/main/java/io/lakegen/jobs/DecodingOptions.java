package io.lakegen.jobs;

import io.lakegen.task.text.GenerationOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine.Option;

/** Options of every job that generates text, with Hugging Face's names and defaults. */
final class DecodingOptions {
  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      description = "Most tokens of a generated text (default: ${DEFAULT-VALUE}).")
  int maxNewTokens = 20;

  @Option(
      names = "--min-new-tokens",
      paramLabel = "N",
      description = "No text ends before this many tokens (default: ${DEFAULT-VALUE}).")
  int minNewTokens;

  @Option(
      names = "--do-sample",
      description = "Draw tokens by their probabilities instead of taking the best.")
  boolean doSample;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "Sampling: divides the logits (default: ${DEFAULT-VALUE}).")
  double temperature = 1;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Sampling: only the K best tokens; 0 for all (default: ${DEFAULT-VALUE}).")
  int topK = 50;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "Sampling: only the best tokens whose probabilities sum to P (default: ${DEFAULT-VALUE}).")
  double topP = 1;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "X",
      description = "Above 1, tokens that came before are less likely (default: ${DEFAULT-VALUE}).")
  double repetitionPenalty = 1;

  @Option(
      names = "--no-repeat-ngram-size",
      paramLabel = "N",
      description = "No N tokens come twice in a row; 0 for any (default: ${DEFAULT-VALUE}).")
  int noRepeatNgramSize;

  @Option(
      names = "--num-beams",
      paramLabel = "N",
      description = "Beams of a beam search; 1 for none (default: ${DEFAULT-VALUE}).")
  int numBeams = 1;

  @Option(
      names = "--length-penalty",
      paramLabel = "X",
      description = "Beam search: above 0 favours long texts (default: ${DEFAULT-VALUE}).")
  double lengthPenalty = 1;

  @Option(
      names = "--num-return-sequences",
      paramLabel = "N",
      description =
          "Texts for every input row, each a row of its own, told apart by sequence_index"
              + " (default: ${DEFAULT-VALUE}).")
  int numReturnSequences = 1;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "Ends a text, which is cut before it. May be given more than once.")
  List<String> stop = new ArrayList<>();

  /** The options as the decoding loop takes them; null after reporting what is wrong with them. */
  GenerationOptions check(Problems problems) {
    GenerationOptions.Builder builder =
        GenerationOptions.builder()
            .maxNewTokens(maxNewTokens)
            .minNewTokens(minNewTokens)
            .temperature(temperature)
            .topK(topK)
            .topP(topP)
            .repetitionPenalty(repetitionPenalty)
            .noRepeatNgramSize(noRepeatNgramSize)
            .numBeams(numBeams)
            .lengthPenalty(lengthPenalty)
            .numReturnSequences(numReturnSequences)
            .stop(stop);
    if (doSample) {
      builder.sampling();
    }
    try {
      return builder.build();
    } catch (IllegalArgumentException e) {
      e.getMessage().lines().forEach(problems::add);
      return null;
    }
  }

  /** All of them shape the results. */
  Map<String, Object> params() {
    Map<String, Object> params = new TreeMap<>();
    params.put("max_new_tokens", maxNewTokens);
    params.put("min_new_tokens", minNewTokens);
    params.put("do_sample", doSample);
    params.put("temperature", temperature);
    params.put("top_k", topK);
    params.put("top_p", topP);
    params.put("repetition_penalty", repetitionPenalty);
    params.put("no_repeat_ngram_size", noRepeatNgramSize);
    params.put("num_beams", numBeams);
    params.put("length_penalty", lengthPenalty);
    params.put("num_return_sequences", numReturnSequences);
    params.put("stop", stop);
    return params;
  }
}
