package io.lakegen.jobs;

import io.lakegen.model.PackSpec;
import io.lakegen.spark.GenerateRows;
import io.lakegen.spark.PromptTemplate;
import io.lakegen.spark.RowTask;
import io.lakegen.task.text.GenerationOptions;
import io.lakegen.task.text.TextGenerator;
import io.lakegen.task.text.TextGenerator.PromptOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.spark.sql.types.BooleanType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.NumericType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.StructType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The job {@code generate}: text for every prompt. */
@Command(
    name = "generate",
    description = {
      "Generates text from prompts: adds the columns text, token_count, prompt_tokens, finish_reason,"
          + " mean_logprob and sequence_index, one output row a sequence.",
      "Names, defaults and meaning of the model's parameters are those of Hugging Face generate.",
      "--batch-budget counts slots of the key/value cache here: tokens of all rows that are decoded at once."
    },
    sortOptions = false,
    mixinStandardHelpOptions = true)
final class GenerateCommand extends JobCommand {
  @Option(
      names = "--template",
      paramLabel = "TEXT",
      description =
          "Makes the prompt of input columns, each as {column}; {{ and }} are the braces. Default: the column alone.")
  String template;

  @Option(
      names = "--examples",
      paramLabel = "URI",
      description =
          "JSON lines with the template's columns and output: each is put through the template and stands with its output"
              + " before every prompt.")
  String examples;

  @Option(
      names = "--no-chat-template",
      description = "Leave out the chat template that the pack puts around a prompt.")
  boolean noChatTemplate;

  @Option(
      names = "--truncate-prompt",
      description =
          "Cut prompts that leave no room for the new tokens, instead of making them error rows: causal models keep the end,"
              + " others the start.")
  boolean truncatePrompt;

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      description = "Most tokens to generate (default: ${DEFAULT-VALUE}).")
  int maxNewTokens = 20;

  @Option(
      names = "--min-new-tokens",
      paramLabel = "N",
      description = "Fewest tokens before the end token (default: ${DEFAULT-VALUE}).")
  int minNewTokens;

  @Option(names = "--do-sample", description = "Draw tokens; default: take the best.")
  boolean doSample;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "Divides the logits before a draw (default: ${DEFAULT-VALUE}).")
  double temperature = 1;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Draw from the K best tokens; 0 for all (default: ${DEFAULT-VALUE}).")
  int topK = 50;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = "Draw from the best tokens that sum to P (default: ${DEFAULT-VALUE}).")
  double topP = 1;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "X",
      description =
          "Above 1: makes tokens that came already less likely (default: ${DEFAULT-VALUE}).")
  double repetitionPenalty = 1;

  @Option(
      names = "--no-repeat-ngram-size",
      paramLabel = "N",
      description = "No N tokens in a row come twice; 0 for any (default: ${DEFAULT-VALUE}).")
  int noRepeatNgramSize;

  @Option(
      names = "--num-beams",
      paramLabel = "N",
      description = "Beams of a beam search; 1 for none (default: ${DEFAULT-VALUE}).")
  int numBeams = 1;

  @Option(
      names = "--length-penalty",
      paramLabel = "X",
      description = "Above 0: beam search favours longer sequences (default: ${DEFAULT-VALUE}).")
  double lengthPenalty = 1;

  @Option(
      names = "--num-return-sequences",
      paramLabel = "N",
      description = "Sequences for each prompt (default: ${DEFAULT-VALUE}).")
  int numReturnSequences = 1;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "Ends a sequence, which is cut before it. May be given more than once.")
  List<String> stop = new ArrayList<>();

  private GenerationOptions options;
  private PromptTemplate prompt;
  private List<java.util.Map<String, String>> fewShot = List.of();

  GenerateCommand() {
    common.column = "prompt";
  }

  @Override
  Set<String> packTasks() {
    return Set.of("text-generation", "text2text-generation");
  }

  @Override
  SortedMap<String, Object> params() {
    SortedMap<String, Object> params = new TreeMap<>();
    params.put("template", template == null ? "{" + common.column + "}" : template);
    params.put("examples", fewShot);
    params.put("chat_template", !noChatTemplate);
    params.put("truncate_prompt", truncatePrompt);
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

  @Override
  void checkOptions(Problems problems) {
    try {
      options =
          new GenerationOptions(
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
    } catch (IllegalArgumentException e) {
      e.getMessage().lines().forEach(problems::add);
    }
    try {
      prompt =
          template == null
              ? PromptTemplate.ofColumn(common.column)
              : PromptTemplate.parse(template);
    } catch (IllegalArgumentException e) {
      problems.add("template: " + e.getMessage());
    }
    if (examples != null && prompt != null) {
      fewShot = Examples.read(examples, prompt.columns(), problems);
    }
  }

  @Override
  RowTask<?, ?, ?> task(StructType schema, PackSpec pack, Problems problems) {
    if (options == null || prompt == null) {
      return null;
    }
    TextGenerator.problem(pack, options).ifPresent(problems::add);
    List<Integer> ordinals = new ArrayList<>();
    List<DataType> types = new ArrayList<>();
    for (String column : prompt.columns()) {
      int ordinal =
          TextColumn.find(schema, template == null ? "column" : "template", column, problems);
      if (ordinal >= 0) {
        DataType type = schema.fields()[ordinal].dataType();
        if (!(type instanceof StringType
            || type instanceof NumericType
            || type instanceof BooleanType)) {
          problems.add(
              template == null ? "column" : "template",
              column + " is " + type.simpleString(),
              "a column of type string, number or boolean");
        }
        ordinals.add(ordinal);
        types.add(type);
      }
    }
    return problems.isEmpty()
        ? new GenerateRows(
            Examples.render(prompt, fewShot),
            prompt,
            ordinals,
            types,
            options,
            new PromptOptions(
                truncatePrompt
                    ? PromptOptions.LongPrompts.truncate
                    : PromptOptions.LongPrompts.reject,
                noChatTemplate ? PromptOptions.Frame.none : PromptOptions.Frame.chat),
            common.batchBudget == null ? 0 : common.batchBudget)
        : null;
  }
}
