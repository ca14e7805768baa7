package io.lakegen.task.generate;

import io.lakegen.decode.DecodingOptions;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.Input;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** The task {@code generate}: text for every prompt. */
public record Generate() implements TaskDefinition {
  static final String CAUSAL = "text-generation";
  static final String ENCODER_DECODER = "text2text-generation";

  public static final Argument PROMPT = Argument.required("prompt", Argument.Kind.SCALAR, "prompt");

  public static final Option<String> TEMPLATE =
      Option.ofText(
              "template",
              null,
              "TEXT",
              "The prompt, with input columns as {column}; {{ and }} are the braces.")
          .defaultsTo("the column alone");

  public static final Option<String> EXAMPLES =
      Option.ofFile(
          "examples",
          "Few-shot examples, JSON lines with the template's columns and output: each is put"
              + " through the template and stands with its output before every prompt.");

  public static final Option<Boolean> NO_CHAT_TEMPLATE =
      Option.flag(
          "no-chat-template", "Leave out the chat template that the pack puts around a prompt.");

  public static final Option<Boolean> TRUNCATE_PROMPT =
      Option.flag(
          "truncate-prompt",
          "Cut a prompt that leaves no room for the new tokens, instead of making it an error row:"
              + " causal models keep its end, others its start.");

  /**
   * At GPT-2's size a slot takes 72 KiB in float32, so the defaults are 1.7 and 4.5 GiB; a GPU that
   * has less halves them until they fit. On two cores a row of a thousand tokens takes a fifth less
   * time beside 23 others than beside 15 (SmolLM2-135M).
   */
  private static final Budget.Unit BUDGET =
      new Budget.Unit(
          "slots of each Spark task's key/value cache: tokens of all rows that are decoded at once,"
              + " cross attention's included",
          24_576,
          65_536);

  /** Every window ends with a few long sequences in a small batch: many rows make that rare. */
  private static final int WINDOW_ROWS = 1024;

  /** Multiplications that are worth a Spark task's start and its file: about a second of a core. */
  private static final double TASK_WORK = 25e9;

  /** A decoding step on a CPU costs as much for one row as for four. */
  private static final int MIN_TASK_ROWS = 4;

  private static final TaskData DATA =
      new TaskData(
          "generate",
          "Generates text from prompts, one output row a sequence. Names, defaults and meaning of"
              + " the model's parameters are those of Hugging Face generate.",
          List.of(CAUSAL, ENCODER_DECODER),
          List.of(PROMPT),
          DecodingOptions.with(TEMPLATE, EXAMPLES, NO_CHAT_TEMPLATE, TRUNCATE_PROMPT),
          BUDGET,
          WINDOW_ROWS,
          32);

  @Override
  public String function() {
    return "ai_complete";
  }

  @Override
  public int rowsPerInput(OptionValues options) {
    return options.get(DecodingOptions.NUM_RETURN_SEQUENCES);
  }

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public int minTaskRows(OptionValues options, ModelPack model) throws IOException {
    int sequences =
        Math.max(
            options.get(DecodingOptions.NUM_BEAMS),
            options.get(DecodingOptions.NUM_RETURN_SEQUENCES));
    double row =
        (double) model.parameters() * options.get(DecodingOptions.MAX_NEW_TOKENS) * sequences;
    double rows = Math.ceil(TASK_WORK / row);
    return (int) Math.max(MIN_TASK_ROWS, Math.min(DATA.minTaskRows(), rows));
  }

  @Override
  public List<Result> results(OptionValues options) {
    return List.of(
        new Result(
            "text",
            Result.Type.TEXT,
            "what was generated, without the prompt, special tokens and the stop text"),
        new Result(
            "token_count",
            Result.Type.INT,
            "generated tokens, the end token and those of a stop text included"),
        new Result("prompt_tokens", Result.Type.INT, "tokens of the prompt as the model read it"),
        new Result("finish_reason", Result.Type.TEXT, "eos, length or stop"),
        new Result(
            "mean_logprob",
            Result.Type.DOUBLE,
            "mean log-probability (natural) of the generated tokens under the model itself, before"
                + " temperature, penalties or any other processor"),
        new Result(
            "sequence_index",
            Result.Type.INDEX,
            "0 to num-return-sequences - 1; beams best first"));
  }

  @Override
  public void check(OptionValues options, Problems problems) {
    DecodingOptions.check(options, problems);
    template(options, problems).ifPresent(t -> examples(t, options, problems));
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    DecodingOptions.check(options, pack, problems);
    if (pack.tasks().contains(ENCODER_DECODER)
        && pack.generation().isPresent()
        && pack.generation().get().decoderStart().isEmpty()) {
      problems.add(
          "model: generation.decoderStart", "missing", "the token that starts a decoder's text");
    }
  }

  /** {@inheritDoc} The template's columns, named as in it. */
  @Override
  public List<Input> inputs(OptionValues options) {
    String option = options.has(TEMPLATE) ? TEMPLATE.name() : PROMPT.column().name();
    return template(options, new Problems()).stream()
        .flatMap(t -> t.columns().stream().distinct())
        .map(c -> new Input("{" + c + "}", PROMPT.kind(), c, option))
        .toList();
  }

  @Override
  public TextGenerator open(LoadedModel model, OptionValues options, Budget budget) {
    Problems problems = new Problems();
    PromptTemplate template = template(options, problems).orElse(null);
    String examples = template == null ? "" : examples(template, options, problems);
    problems.throwIfAny();
    return new TextGenerator(model, template, examples, options, budget);
  }

  private static Optional<PromptTemplate> template(OptionValues options, Problems problems) {
    return options.has(TEMPLATE)
        ? PromptTemplate.parse(TEMPLATE.name(), options.get(TEMPLATE), problems)
        : Optional.of(PromptTemplate.ofColumn(options.get(PROMPT.column())));
  }

  private static String examples(PromptTemplate template, OptionValues options, Problems problems) {
    return options.has(EXAMPLES) ? Examples.render(template, options.get(EXAMPLES), problems) : "";
  }
}
