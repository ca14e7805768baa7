package io.lakegen.task.answer;

import io.lakegen.decode.Fixture;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.answer.Answerer.Answers;
import io.lakegen.task.answer.Answerer.Question;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

class AnswerContractTest extends TaskContract<Question, Answers> {
  @Override
  protected TaskDefinition definition() {
    return new Answer();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("bert-answers").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE
        .with(Answer.QUESTION_COLUMN.column(), "question")
        .with(Answer.TOP_K, 3)
        .with(Answer.NO_ANSWER, true);
  }

  @Override
  protected List<RowInput> goodRows() {
    return Stream.of("a", "The lake lies still.", "boat ".repeat(90), "bread and butter")
        .map(context -> RowInputs.of(1, "question", "Is it a boat?", "context", context))
        .toList();
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "null_text", RowInputs.of(1, "question", null, "context", "a"),
        "empty_text", RowInputs.of(1, "question", "", "context", "a"),
        "blank_text", RowInputs.of(1, "question", "a", "context", " \n"),
        "invalid_utf8", RowInputs.of(1, "question", "a", "context", new byte[] {'a', (byte) 0xFF}),
        "question_too_long",
            RowInputs.of(1, "question", "boat ".repeat(90), "context", "boat ".repeat(90)));
  }
}
