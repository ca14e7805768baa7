package io.lakegen.task.classify;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.encoder.TextEncoderTask.Tokens;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Labels and scores against those of transformers' pipeline. */
class TextClassifierTest {
  private static final OptionValues ALL_LABELS = OptionValues.NONE.with(Classify.TOP_K, 100);

  private static RowInput row(JsonNode row) {
    String text = row.path("text").asText();
    return row.path("pair").isNull()
        ? RowInputs.of("text", text)
        : RowInputs.of(1, "text", text, "text_pair", row.path("pair").asText());
  }

  /** All rows in one batch, each alone, and what transformers gives for each. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "bert-classification",
        "bert-classification-onnx",
        "distilbert-classification",
        "roberta-classification"
      })
  void batchesSingleRowsAndTheReferenceAgree(String name) throws Exception {
    Fixture fixture = Fixture.load(name);
    TextClassifier classifier = new TextClassifier(fixture.model(), ALL_LABELS);
    JsonNode rows = fixture.expected().path("rows");
    List<Tokens> batch = new ArrayList<>();
    for (JsonNode row : rows) {
      batch.add(classifier.prepare(row(row)));
    }
    assertThat(batch).hasSizeGreaterThan(20);
    List<TextClassifier.Scores> together = classifier.infer(batch);
    for (int i = 0; i < batch.size(); i++) {
      JsonNode expected = rows.get(i);
      Map<String, Float> scores = new LinkedHashMap<>();
      expected
          .path("scores")
          .forEach(s -> scores.put(s.path("label").asText(), (float) s.path("score").asDouble()));
      TextClassifier.Scores alone = classifier.infer(List.of(batch.get(i))).get(0);
      for (TextClassifier.Scores found : List.of(together.get(i), alone)) {
        List<Object> values = classifier.values(found).get(0);
        assertThat(values.get(0)).isEqualTo(scores.keySet().iterator().next());
        assertThat((Float) values.get(1))
            .isCloseTo(scores.values().iterator().next(), within(1e-5f));
        @SuppressWarnings("unchecked") // as the definition says
        Map<String, Float> actual = (Map<String, Float>) values.get(2);
        assertThat(actual.keySet()).containsExactlyElementsOf(scores.keySet());
        scores.forEach(
            (label, score) -> assertThat(actual.get(label)).isCloseTo(score, within(1e-5f)));
        assertThat(values.get(3)).isEqualTo(expected.path("tokens").asInt());
      }
    }
    classifier.check();
  }

  @Test
  void topKGivesTheBestLabels() throws Exception {
    Fixture fixture = Fixture.load("bert-classification");
    JsonNode row = fixture.expected().path("rows").get(0);
    TextClassifier two =
        new TextClassifier(fixture.model(), OptionValues.NONE.with(Classify.TOP_K, 2));
    List<Object> values = two.values(two.infer(List.of(two.prepare(row(row)))).get(0)).get(0);
    assertThat(((Map<?, ?>) values.get(2)).keySet())
        .hasToString(
            "["
                + row.path("scores").get(0).path("label").asText()
                + ", "
                + row.path("scores").get(1).path("label").asText()
                + "]");
    TextClassifier plain = new TextClassifier(fixture.model(), OptionValues.NONE);
    assertThat(plain.values(plain.infer(List.of(plain.prepare(row(row)))).get(0)).get(0))
        .hasSize(4);
  }

  @Test
  void scoresStaySoundForLogitsOfAnySize() {
    LabelSpec softmax = new LabelSpec(List.of("a", "b"), LabelSpec.Function.softmax);
    assertThat(softmax.scores(new float[] {1000, -1000})).containsExactly(1, 0);
    LabelSpec sigmoid = new LabelSpec(List.of("a", "b"), LabelSpec.Function.sigmoid);
    assertThat(sigmoid.scores(new float[] {1000, -1000})).containsExactly(1, 0);
    assertThatThrownBy(() -> softmax.scores(new float[] {1, Float.NaN}))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the model's logits hold NaN (expected: numbers)");
  }
}
