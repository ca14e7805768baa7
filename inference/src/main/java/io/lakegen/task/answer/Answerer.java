package io.lakegen.task.answer;

import static io.lakegen.task.answer.Answer.CONTEXT;
import static io.lakegen.task.answer.Answer.DOC_STRIDE;
import static io.lakegen.task.answer.Answer.MAX_ANSWER_LENGTH;
import static io.lakegen.task.answer.Answer.NO_ANSWER;
import static io.lakegen.task.answer.Answer.QUESTION;
import static io.lakegen.task.answer.Answer.QUESTION_COLUMN;
import static io.lakegen.task.answer.Answer.TOP_K;

import io.lakegen.encoder.TextGraph;
import io.lakegen.encoder.TextGraph.Output;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.OutOfMemory;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.answer.Windows.Window;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Answers as the question-answering pipeline of transformers 4 gives them. The windows of all rows
 * of a batch share the runs of the graph.
 */
final class Answerer implements Task<Answerer.Question, Answerer.Answers> {
  /** Memory that the tokens of a byte of text take: five numbers a token, of some three bytes. */
  private static final int TOKEN_BYTES = 16;

  private final LoadedModel model;
  private final TextGraph graph;
  private final AnswerSpec spec;
  private final OptionValues options;
  private final Budget budget;
  private final int windowLength;

  /** A question and its context as the model reads them. */
  record Question(String question, String context, Windows windows) {}

  /**
   * A row's answers, best first, at least one.
   *
   * @param windowCount windows that were searched
   */
  record Answers(List<FoundAnswer> best, int windowCount) {}

  /** A window of a row of the batch. */
  private record Part(int row, int place, Windows windows) {
    Window window() {
      return windows.places().get(place);
    }

    int length() {
      return windows.length(window());
    }
  }

  /** An answerer over a loaded pack, which stays the caller's to close. */
  Answerer(LoadedModel model, OptionValues options, Budget budget) {
    this.model = model;
    this.graph =
        new TextGraph(model, "model", List.of("input_ids", "attention_mask", "token_type_ids"));
    this.spec = model.pack().spec().section(Answer.PACK_TASK, AnswerSpec::read);
    this.options = options;
    this.budget = budget;
    this.windowLength = Windows.length(model.pack().spec().tokenizer().orElseThrow());
  }

  @Override
  public Question prepare(RowInput row) throws RowException {
    String question = options.has(QUESTION) ? options.get(QUESTION) : text(row, QUESTION_COLUMN);
    String context = text(row, CONTEXT);
    return new Question(
        question,
        context,
        Windows.of(model.encodeWhole(question, context), windowLength, options.get(DOC_STRIDE)));
  }

  /** A text of the row; an error says which of the two it is about. */
  private static String text(RowInput row, Argument argument) throws RowException {
    try {
      return row.text(argument.name());
    } catch (RowException e) {
      throw RowException.prepare(e.error().type(), argument.name() + ": " + e.getMessage());
    }
  }

  /** {@inheritDoc} Tokens of all windows. */
  @Override
  public int size(Question row) {
    return row.windows().places().stream().mapToInt(row.windows()::length).sum();
  }

  @Override
  public int cost(Question row) {
    return row.windows().places().stream()
        .mapToInt(window -> graph.paddedLength(row.windows().length(window)))
        .sum();
  }

  @Override
  public long inputBytes(RowInput row) {
    return TOKEN_BYTES * row.length();
  }

  @Override
  public Object identity(Question row) {
    return List.of(row.question(), row.context());
  }

  @Override
  public List<Answers> infer(List<Question> batch) {
    List<Part> parts = new ArrayList<>();
    List<Spans[]> found = new ArrayList<>();
    for (int row = 0; row < batch.size(); row++) {
      Windows windows = batch.get(row).windows();
      found.add(new Spans[windows.places().size()]);
      for (int place = 0; place < windows.places().size(); place++) {
        parts.add(new Part(row, place, windows));
      }
    }
    parts.sort(Comparator.comparingInt(Part::length).reversed());
    for (int from = 0; from < parts.size(); ) {
      int to = end(parts, from);
      List<Part> together = parts.subList(from, to);
      try {
        run(together, found);
        from = to;
      } catch (RuntimeException e) {
        if (!OutOfMemory.isCauseOf(e) || together.size() == 1) {
          throw e;
        }
        budget.exceeded((long) together.size() * graph.paddedLength(together.get(0).length()));
      }
    }
    List<Answers> answers = new ArrayList<>(batch.size());
    for (int row = 0; row < batch.size(); row++) {
      answers.add(answers(batch.get(row), List.of(found.get(row))));
    }
    return answers;
  }

  /** Windows of one padded length share a run, as many as the budget has room for. */
  private int end(List<Part> parts, int from) {
    int length = graph.paddedLength(parts.get(from).length());
    long most = Math.max(1, budget.current() / length);
    int to = from + 1;
    while (to < parts.size()
        && to - from < most
        && graph.paddedLength(parts.get(to).length()) == length) {
      to++;
    }
    return to;
  }

  private void run(List<Part> parts, List<Spans[]> found) {
    Output logits = graph.run(parts.stream().map(p -> p.windows().sequence(p.window())).toList());
    int expected = parts.size() * 2 * logits.length();
    if (logits.values().length != expected) {
      throw new IllegalStateException(
          "logits: "
              + logits.values().length
              + " values (expected: "
              + expected
              + ", two for each token)");
    }
    for (int i = 0; i < parts.size(); i++) {
      Part part = parts.get(i);
      int startsAt = 2 * i * logits.length();
      // The pipeline looks at more spans than were asked for, since some turn out to be the same.
      found.get(part.row())[part.place()] =
          Spans.of(
              part.windows(),
              part.window(),
              logits.values(),
              startsAt,
              startsAt + logits.length(),
              spec.cls(),
              2 * options.get(TOP_K) + 10,
              options.get(MAX_ANSWER_LENGTH));
    }
  }

  private Answers answers(Question row, List<Spans> found) {
    FoundAnswers answers = new FoundAnswers(row.context(), row.windows());
    for (int i = 0; i < found.size(); i++) {
      Window window = row.windows().places().get(i);
      found.get(i).best().forEach(span -> answers.add(window, span));
    }
    if (options.get(NO_ANSWER)) {
      answers.addNone(found.stream().mapToDouble(Spans::noAnswer).min().orElseThrow());
    }
    return new Answers(answers.best(options.get(TOP_K)), found.size());
  }

  @Override
  public List<List<Object>> values(Answers answers) {
    return answers.best().stream()
        .map(
            a ->
                List.<Object>of(
                    a.text(), (float) a.score(), a.start(), a.end(), answers.windowCount()))
        .toList();
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
