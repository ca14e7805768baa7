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
import picocli.CommandLine.Mixin;
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

  @Mixin DecodingOptions decoding = new DecodingOptions();

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
    SortedMap<String, Object> params = new TreeMap<>(decoding.params());
    params.put("template", template == null ? "{" + common.column + "}" : template);
    params.put("examples", fewShot);
    params.put("chat_template", !noChatTemplate);
    params.put("truncate_prompt", truncatePrompt);
    return params;
  }

  @Override
  void checkOptions(Problems problems) {
    options = decoding.check(problems);
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
