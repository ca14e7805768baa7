package io.lakegen.task.answer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.answer.Answerer.Answers;
import io.lakegen.task.answer.Answerer.Question;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers against those of transformers' pipeline. */
class AnswererTest {
  /** The pipeline's names of the options. */
  private static final Map<String, String> NAMES =
      Map.of(
          "top_k", "top-k",
          "doc_stride", "doc-stride",
          "max_answer_len", "max-answer-length",
          "handle_impossible_answer", "no-answer");

  private static Answerer answerer(Fixture fixture, OptionValues options, long budget) {
    return new Answerer(
        fixture.model(),
        options.with(Answer.QUESTION_COLUMN.column(), "question"),
        new Budget(budget));
  }

  private static OptionValues options(JsonNode options) {
    Map<String, Object> raw = new java.util.HashMap<>();
    options.properties().forEach(e -> raw.put(NAMES.get(e.getKey()), e.getValue().asText()));
    Problems problems = new Problems();
    OptionValues values = OptionValues.parse(new Answer().data().options(), raw, problems);
    problems.throwIfAny();
    return values;
  }

  private static RowInput row(String question, String context) {
    return RowInputs.of(1, "question", question, "context", context);
  }

  /** All rows in one batch, in small ones, each alone, and what transformers gives for each. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "bert-answers",
        "distilbert-answers",
        "distilbert-answers-onnx",
        "roberta-answers"
      })
  void batchesSingleRowsAndTheReferenceAgree(String name) throws Exception {
    Fixture fixture = Fixture.load(name);
    int windows = 0;
    for (JsonNode testCase : fixture.expected().path("cases")) {
      OptionValues options = options(testCase.path("options"));
      Answerer answerer = answerer(fixture, options, 100_000);
      List<Question> batch = new ArrayList<>();
      for (JsonNode row : testCase.path("rows")) {
        batch.add(
            answerer.prepare(row(row.path("question").asText(), row.path("context").asText())));
      }
      assertThat(batch).hasSizeGreaterThan(10);
      List<Answers> together = answerer.infer(batch);
      List<Answers> inSmallRuns = answerer(fixture, options, 200).infer(batch);
      for (int i = 0; i < batch.size(); i++) {
        JsonNode row = testCase.path("rows").get(i);
        Answers alone = answerer.infer(List.of(batch.get(i))).get(0);
        windows = Math.max(windows, alone.windowCount());
        for (Answers found : List.of(together.get(i), inSmallRuns.get(i), alone)) {
          agree(name + ", " + testCase.path("name") + ", row " + i, answerer.values(found), row);
        }
      }
    }
    assertThat(windows).isGreaterThan(10);
    answerer(fixture, OptionValues.NONE, 100).check();
  }

  private static void agree(String name, List<List<Object>> found, JsonNode row) {
    JsonNode expected = row.path("answers");
    String context = row.path("context").asText();
    assertThat(found).as(name).hasSameSizeAs(expected);
    for (int i = 0; i < found.size(); i++) {
      List<Object> answer = found.get(i);
      String text = expected.get(i).path("answer").asText();
      int start = expected.get(i).path("start").asInt();
      int end = expected.get(i).path("end").asInt();
      assertThat(answer.get(0)).as(name).isEqualTo(text);
      assertThat((Float) answer.get(1))
          .as(name)
          .isCloseTo((float) expected.get(i).path("score").asDouble(), within(1e-5f));
      assertThat(answer.subList(2, 4)).as(name).containsExactly(start, end);
      assertThat(
              context.substring(
                  context.offsetByCodePoints(0, start), context.offsetByCodePoints(0, end)))
          .isEqualTo(text);
    }
  }

  @Test
  void oneQuestionServesAllRows() throws Exception {
    Fixture fixture = Fixture.load("bert-answers");
    JsonNode row = fixture.expected().path("cases").get(0).path("rows").get(0);
    Answerer answerer =
        new Answerer(
            fixture.model(),
            OptionValues.NONE.with(Answer.QUESTION, row.path("question").asText()),
            new Budget(1000));
    Question question = answerer.prepare(RowInputs.of("context", row.path("context").asText()));
    agree("one question", answerer.values(answerer.infer(List.of(question)).get(0)), row);
  }

  @Test
  void aQuestionThatFillsTheWindowIsABadRowOnlyWhereTheContextNeedsSeveral() throws Exception {
    Answerer answerer =
        answerer(
            Fixture.load("distilbert-answers"),
            OptionValues.NONE.with(Answer.DOC_STRIDE, 11),
            1000);
    String longQuestion = "the ".repeat(50);
    assertThat(answerer.prepare(row(longQuestion, "the the")).windows().places()).hasSize(1);
    assertThatThrownBy(() -> answerer.prepare(row(longQuestion, "the ".repeat(20))))
        .isInstanceOf(RowException.class)
        .hasMessage(
            "the question leaves 11 tokens of a window for the context of 20"
                + " (expected: more than doc-stride, 11)");
  }

  @Test
  void errorsSayWhichTextIsMeant() {
    Answerer answerer = answerer(Fixture.load("bert-answers"), OptionValues.NONE, 1000);
    assertThatThrownBy(() -> answerer.prepare(row("", "a lake")))
        .hasMessage("question: the text is empty (expected: at least one character)");
    assertThatThrownBy(() -> answerer.prepare(row("what?", "  ")))
        .hasMessageStartingWith("context: the text is only white space");
  }

  @Test
  void exactlyOneSourceOfQuestionsIsAskedFor() {
    Problems problems = new Problems();
    new Answer().check(OptionValues.NONE, problems);
    new Answer()
        .check(
            OptionValues.NONE
                .with(Answer.QUESTION, "what?")
                .with(Answer.QUESTION_COLUMN.column(), "q"),
            problems);
    assertThat(problems.list())
        .extracting(Object::toString)
        .containsExactly(
            "question: missing (expected: --question TEXT or --question-column NAME)",
            "question: with question-column (expected: --question TEXT or --question-column NAME,"
                + " not both)");
  }

  @Test
  void aStrideMustLeaveAWindowRoom() {
    Problems problems = new Problems();
    new Answer()
        .check(
            OptionValues.NONE.with(Answer.DOC_STRIDE, 64),
            Fixture.load("bert-answers").model().pack().spec(),
            problems);
    assertThat(problems.list())
        .extracting(Object::toString)
        .containsExactly("doc-stride: 64 (expected: less than 64, a window of this model)");
  }
}
