package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.batch.BatchScorer;
import io.lakegen.batch.Scored;
import io.lakegen.batch.ScoringOptions;
import io.lakegen.batch.ScoringStats;
import io.lakegen.decode.Fixture;
import io.lakegen.encoder.FixturePictures;
import io.lakegen.model.DeviceUse;
import io.lakegen.problem.Problems;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A thousand mixed rows through the scorer, in its own batches, and each row alone. */
class MixedRowsTest {
  private static final int ROWS = 1000;
  private static final String WORDS =
      "The lake lies still in the morning and the small red boat 🛶 waits at the old pier. 湖 Où?";

  @ParameterizedTest
  @CsvSource({
    "answer, bert-answers, false",
    "answer, roberta-answers, false",
    "classify, vit-classes, true",
    "classify, convnext-classes, true",
    "classify, clip, true",
    "embed, clip, true",
    "embed, siglip, false",
    "embed, dinov2, true",
    "embed, dinov2-attention, true"
  })
  void aRowsResultDoesNotDependOnItsBatch(String name, String fixture, boolean images)
      throws Exception {
    var model = Fixture.load(fixture).model();
    TaskDefinition definition =
        io.lakegen.Tasks.named(name).orElseThrow().with(model.pack().spec(), images);
    Problems problems = new Problems();
    Map<String, Object> raw =
        name.equals("answer")
            ? Map.of("question-column", "question", "top-k", 2, "no-answer", true)
            : fixture.equals("clip") && name.equals("classify")
                ? Map.of("labels", "boat,house")
                : fixture.endsWith("-attention") ? Map.of("attention", true) : Map.of();
    OptionValues options = OptionValues.parse(definition.data().allOptions(), raw, problems);
    problems.throwIfAny();
    Random random = new Random(7);
    List<RowInput> rows = new ArrayList<>();
    for (int i = 0; i < ROWS; i++) {
      rows.add(row(definition, options, random));
    }
    compare(definition.open(model, options, new Budget(600)), rows, new Budget(600));
  }

  /** Of the task's inputs; some are bad. */
  private static RowInput row(TaskDefinition definition, OptionValues options, Random random) {
    List<Object> values = new ArrayList<>();
    for (Input input : definition.inputs(options)) {
      values.add(input.name());
      boolean bad = random.nextInt(25) == 0;
      values.add(
          input.kind() == Argument.Kind.IMAGE
              ? bad ? new byte[] {1, 2, 3} : FixturePictures.random(random)
              : bad ? " " : text(random, input.name().equals("question") ? 4 : 60));
    }
    return RowInputs.of(1, values.toArray());
  }

  private static String text(Random random, int mostWords) {
    String[] words = WORDS.split(" ", -1);
    StringBuilder text = new StringBuilder();
    for (int i = random.nextInt(mostWords); i >= 0; i--) {
      text.append(words[random.nextInt(words.length)]).append(' ');
    }
    return text.toString();
  }

  private static <P, O> void compare(Task<P, O> task, List<RowInput> rows, Budget budget)
      throws Exception {
    Map<String, Integer> outcomes = new TreeMap<>();
    ScoringOptions scoring = new ScoringOptions(300, 1L << 28, 2);
    try (BatchScorer<RowInput, P, O> scorer =
        new BatchScorer<>(
            rows.iterator(),
            row -> row,
            row -> "row",
            task,
            scoring,
            budget,
            new DeviceUse(),
            new ScoringStats())) {
      for (RowInput row : rows) {
        Scored<RowInput, O> scored = scorer.next();
        assertThat(scored.row()).isSameAs(row);
        String outcome = scored.error() == null ? "ok" : scored.error().type();
        outcomes.merge(outcome, 1, Integer::sum);
        if (scored.error() == null) {
          P prepared = task.prepare(row);
          List<List<Object>> alone = task.values(task.infer(List.of(prepared)).get(0));
          List<List<Object>> together = task.values(scored.result());
          assertThat(together).hasSameSizeAs(alone);
          for (int i = 0; i < alone.size(); i++) {
            for (int v = 0; v < alone.get(i).size(); v++) {
              assertThat(agree(together.get(i).get(v), alone.get(i).get(v)))
                  .as("%s and %s", together, alone)
                  .isTrue();
            }
          }
        }
      }
    }
    assertThat(outcomes.get("ok")).isGreaterThan(800).isLessThan(ROWS);
  }

  private static boolean agree(Object one, Object other) {
    if (one instanceof float[] vector) {
      for (int i = 0; i < vector.length; i++) {
        if (!agree(vector[i], ((float[]) other)[i])) {
          return false;
        }
      }
      return true;
    }
    if (one instanceof List<?> list) {
      List<?> others = (List<?>) other;
      return list.size() == others.size()
          && IntStream.range(0, list.size()).allMatch(i -> agree(list.get(i), others.get(i)));
    }
    return one instanceof Float score ? Math.abs(score - (Float) other) < 1e-5 : one.equals(other);
  }
}
