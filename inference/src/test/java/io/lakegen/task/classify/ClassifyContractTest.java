package io.lakegen.task.classify;

import io.lakegen.decode.Fixture;
import io.lakegen.encoder.TextEncoderTask.Tokens;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

class ClassifyContractTest extends TaskContract<Tokens, TextClassifier.Scores> {
  @Override
  protected TaskDefinition definition() {
    return new Classify();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("bert-classification").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE.with(Classify.TOP_K, 2).with(Classify.PAIR.column(), "hypothesis");
  }

  @Override
  protected List<RowInput> goodRows() {
    return Stream.of("a", "The lake lies still.", "boat ".repeat(40), "bread and butter")
        .map(text -> RowInputs.of(1, "text", text, "text_pair", "Is it a boat?"))
        .toList();
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "null_text", RowInputs.of(1, "text", "a", "text_pair", null),
        "blank_text", RowInputs.of("text", " \n"),
        "empty_text", RowInputs.of("text", ""),
        "invalid_utf8", RowInputs.of(1, "text", new byte[] {'a', (byte) 0xFF}));
  }
}
