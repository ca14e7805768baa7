package io.lakegen.task.answer;

import io.lakegen.encoder.EncoderData;
import io.lakegen.encoder.TextEncoderTask;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;

/** The task {@code answer}: the part of a text that answers a question. */
public record Answer() implements TaskDefinition {
  static final String PACK_TASK = "question-answering";

  static final Argument CONTEXT =
      new Argument(
          "context",
          Argument.Kind.TEXT,
          Option.ofColumn(
              "context-column",
              "context",
              "Input column of the texts that hold the answers. The lines of a text file get this"
                  + " name."));

  static final Argument QUESTION_COLUMN =
      Argument.optional(
          "question", Argument.Kind.TEXT, "question-column", "Column of each row's question.");

  static final Option<String> QUESTION =
      Option.ofText("question", null, "TEXT", "One question for all rows.")
          .where("a text with at least one character", text -> !text.isBlank());

  static final Option<Integer> TOP_K =
      Option.ofInt(
              "top-k",
              1,
              "Most answers of a row, best first; above 1, each is an output row with"
                  + " answer_index.")
          .where("1 or more", n -> n >= 1);

  static final Option<Integer> MAX_ANSWER_LENGTH =
      Option.ofInt("max-answer-length", 15, "Most tokens of an answer.")
          .where("1 or more", n -> n >= 1);

  static final Option<Integer> DOC_STRIDE =
      Option.ofInt(
              "doc-stride",
              null,
              "Tokens of a long context that a window shares with the next one.")
          .where("0 or more", n -> n >= 0)
          .defaultsTo("128, or half a window where that is less");

  static final Option<Boolean> NO_ANSWER =
      Option.flag(
          "no-answer",
          "Let the model say that the context has no answer: an empty one, where that is likelier"
              + " than the best answer (models trained as on SQuAD 2).");

  private static final TaskData DATA =
      EncoderData.of(
          Argument.Kind.TEXT,
          "answer",
          "Answers questions with a part of a text. A context longer than the model reads is"
              + " searched in windows that overlap.",
          List.of(PACK_TASK),
          List.of(CONTEXT, QUESTION_COLUMN),
          List.of(QUESTION, TOP_K, MAX_ANSWER_LENGTH, DOC_STRIDE, NO_ANSWER));

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public int rowsPerInput(OptionValues options) {
    return options.get(TOP_K);
  }

  @Override
  public List<Result> results(OptionValues options) {
    List<Result> results =
        new ArrayList<>(
            List.of(
                new Result(
                    "answer",
                    Result.Type.TEXT,
                    "a part of the context; with --no-answer, empty where there is none"),
                new Result(
                    "score",
                    Result.Type.FLOAT,
                    "probability of the answer's first token times that of its last, each within"
                        + " its window; equal answers of several places add up"),
                new Result(
                    "start",
                    Result.Type.INT,
                    "first character of the answer in the context, from 0"),
                new Result("end", Result.Type.INT, "the character behind its last"),
                new Result("window_count", Result.Type.INT, "windows that were searched")));
    if (options.get(TOP_K) > 1) {
      results.add(
          new Result(
              "answer_index",
              Result.Type.INDEX,
              "with --top-k above 1: one output row an answer, best first; fewer than asked for"
                  + " where the context has no more"));
    }
    return results;
  }

  @Override
  public void check(OptionValues options, Problems problems) {
    String both = QUESTION + " TEXT or " + QUESTION_COLUMN.column() + " NAME";
    boolean one = options.has(QUESTION);
    if (one == options.has(QUESTION_COLUMN.column())) {
      problems.add(
          QUESTION.name(),
          one ? "with " + QUESTION_COLUMN.column().name() : "missing",
          one ? both + ", not both" : both);
    }
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    TextEncoderTask.check(pack, problems);
    AnswerSpec spec = AnswerSpec.read(pack.section(PACK_TASK, problems));
    if (options.get(NO_ANSWER) && spec.cls().isEmpty()) {
      problems.add(
          NO_ANSWER.name(), "true", "only with a model whose tokenizer has a class token ([CLS])");
    }
    Integer stride = options.get(DOC_STRIDE);
    if (stride != null && pack.tokenizer().isPresent()) {
      int window = Windows.length(pack.tokenizer().get());
      if (stride >= window) {
        problems.add(DOC_STRIDE.name(), stride, "less than " + window + ", a window of this model");
      }
    }
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new Answerer(model, options, budget);
  }
}
