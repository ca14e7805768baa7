package io.lakegen.task.generate;

import io.lakegen.decode.DecodingOptions;
import io.lakegen.decode.Fixture;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.generate.TextGenerator.GeneratedText;
import io.lakegen.task.generate.TextGenerator.PreparedPrompt;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

class GenerateContractTest extends TaskContract<PreparedPrompt, List<GeneratedText>> {
  @Override
  protected TaskDefinition definition() {
    return new Generate();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("gpt2").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE
        .with(DecodingOptions.DO_SAMPLE, true)
        .with(DecodingOptions.NUM_RETURN_SEQUENCES, 2)
        .with(DecodingOptions.STOP, List.of("."))
        .with(Generate.TEMPLATE, "{thing} of {place}:");
  }

  @Override
  protected List<RowInput> goodRows() {
    return Stream.of("a", "the still lake", "a small red boat and bread")
        .map(thing -> RowInputs.of(thing.length(), "{thing}", thing, "{place}", "town"))
        .toList();
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "null_text", RowInputs.of(1, "{thing}", "a", "{place}", null),
        "blank_text", RowInputs.of(1, "{thing}", " ", "{place}", "b"),
        "prompt_too_long", RowInputs.of(1, "{thing}", "a lake ".repeat(99), "{place}", "b"));
  }
}
