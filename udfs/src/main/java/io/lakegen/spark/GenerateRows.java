package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowException;
import io.lakegen.task.text.GenerationOptions;
import io.lakegen.task.text.TextGenerator;
import io.lakegen.task.text.TextGenerator.GeneratedText;
import io.lakegen.task.text.TextGenerator.PreparedPrompt;
import io.lakegen.task.text.TextGenerator.Prompt;
import io.lakegen.task.text.TextGenerator.PromptOptions;
import io.lakegen.task.text.Utf8Text;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * Generates text from prompts: adds {@code text}, {@code token_count}, {@code prompt_tokens},
 * {@code finish_reason}, {@code mean_logprob} and {@code sequence_index}, one output row a
 * sequence.
 *
 * @param examples stands before every prompt; may be empty
 * @param template makes a prompt of the columns below
 * @param ordinals places of the template's columns in the input schema
 * @param types their types: strings, numbers or booleans
 * @param cacheTokens slots of the key/value cache of each Spark task, 0 for the device's default
 */
public record GenerateRows(
    String examples,
    PromptTemplate template,
    List<Integer> ordinals,
    List<DataType> types,
    GenerationOptions options,
    PromptOptions promptOptions,
    long cacheTokens)
    implements RowTask<Prompt, PreparedPrompt, List<GeneratedText>> {
  private static final String SEQUENCE_INDEX = "sequence_index";

  private static final StructType COLUMNS =
      new StructType()
          .add("text", DataTypes.StringType)
          .add("token_count", DataTypes.IntegerType)
          .add("prompt_tokens", DataTypes.IntegerType)
          .add("finish_reason", DataTypes.StringType)
          .add("mean_logprob", DataTypes.DoubleType)
          .add(SEQUENCE_INDEX, DataTypes.IntegerType);

  public GenerateRows {
    ordinals = List.copyOf(ordinals);
    types = List.copyOf(types);
  }

  @Override
  public StructType columns() {
    return COLUMNS;
  }

  @Override
  public Optional<String> indexColumn() {
    return Optional.of(SEQUENCE_INDEX);
  }

  @Override
  public Prompt input(InternalRow row, long seed) throws RowException {
    List<String> values = new ArrayList<>(ordinals.size());
    for (int i = 0; i < ordinals.size(); i++) {
      int ordinal = ordinals.get(i);
      Object value = row.isNullAt(ordinal) ? null : row.get(ordinal, types.get(i));
      values.add(
          value == null || value instanceof UTF8String
              ? Utf8Text.decode(value == null ? null : ((UTF8String) value).getBytes())
              : value.toString());
    }
    return new Prompt((examples + template.fill(values)).getBytes(StandardCharsets.UTF_8), seed);
  }

  @Override
  public ModelTask<Prompt, PreparedPrompt, List<GeneratedText>> open(LoadedModel model) {
    return new TextGenerator(
        model,
        options,
        promptOptions,
        cacheTokens > 0 ? cacheTokens : defaultBudget(model.device()));
  }

  @Override
  public List<Object[]> values(List<GeneratedText> result) {
    List<Object[]> rows = new ArrayList<>(result.size());
    for (GeneratedText text : result) {
      rows.add(
          new Object[] {
            UTF8String.fromString(text.text()),
            text.tokenCount(),
            text.promptTokens(),
            UTF8String.fromString(text.finishReason().name()),
            text.meanLogProbability(),
            rows.size()
          });
    }
    return rows;
  }

  /** Every window ends with a few long sequences in a small batch: many rows make that rare. */
  @Override
  public int windowRows() {
    return 1024;
  }

  /**
   * Slots of the cache. At GPT-2's size a slot takes 72 KiB in float32, so these are 1.2 and 4.5
   * GiB; a GPU that has less halves them until they fit.
   */
  @Override
  public long defaultBudget(Device device) {
    return device.isGpu() ? 65_536 : 16_384;
  }
}
