package io.lakegen.task.classify;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.encoder.FixturePictures;
import io.lakegen.encoder.PictureTask;
import io.lakegen.encoder.PictureTask.Picture;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Labels and scores of pictures against those of transformers' pipelines. */
class ImageClassifierTest {
  /** Resizing differs from Pillow's by a level or two of 255. */
  private static final float RESIZED = 0.02f;

  private static final OptionValues ALL_LABELS = OptionValues.NONE.with(Classify.TOP_K, 100);

  /** From the reference's own pixels in a batch and alone, and from files. */
  private static void agree(Fixture fixture, PictureTask<float[]> task, JsonNode rows)
      throws Exception {
    List<Picture> pictures =
        FixturePictures.pixels(fixture).stream().map(p -> new Picture(new byte[0], p)).toList();
    List<RowInput> files = FixturePictures.rows(fixture);
    assertThat(pictures).hasSizeGreaterThan(2).hasSameSizeAs(rows).hasSameSizeAs(files);
    List<float[]> together = task.infer(pictures);
    List<Picture> read = new ArrayList<>();
    for (RowInput file : files) {
      read.add(task.prepare(file));
    }
    int exact = 0;
    List<float[]> ofFiles = task.infer(read);
    for (int i = 0; i < pictures.size(); i++) {
      check(task.values(together.get(i)), rows.get(i), 1e-5f);
      check(task.values(task.infer(List.of(pictures.get(i))).get(0)), rows.get(i), 1e-5f);
      // One of the pictures has the size that the processor resizes to.
      boolean same = distance(read.get(i).pixels(), pictures.get(i).pixels()) < 1e-6;
      exact += same ? 1 : 0;
      check(task.values(ofFiles.get(i)), rows.get(i), same ? 1e-5f : RESIZED);
    }
    assertThat(exact).isPositive();
    task.check();
  }

  private static double distance(float[] one, float[] other) {
    double largest = one.length == other.length ? 0 : Double.NaN;
    for (int i = 0; i < one.length; i++) {
      largest = Math.max(largest, Math.abs(one[i] - other[i]));
    }
    return largest;
  }

  private static void check(List<List<Object>> values, JsonNode expected, float tolerance) {
    List<Object> row = values.get(0);
    assertThat(row.get(0)).isEqualTo(expected.get(0).path("label").asText());
    assertThat((Float) row.get(1))
        .isCloseTo((float) expected.get(0).path("score").asDouble(), within(tolerance));
    Map<?, ?> scores = (Map<?, ?>) row.get(2);
    assertThat(scores).hasSize(expected.size());
    for (JsonNode one : expected) {
      assertThat((Float) scores.get(one.path("label").asText()))
          .isCloseTo((float) one.path("score").asDouble(), within(tolerance));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "vit-classes",
        "deit-classes",
        "swin-classes",
        "convnext-classes",
        "resnet-classes",
        "efficientnet-classes"
      })
  void batchesSinglePicturesFilesAndTheReferenceAgree(String name) throws Exception {
    Fixture fixture = Fixture.load(name);
    agree(
        fixture, new ImageClassifier(fixture.model(), ALL_LABELS), fixture.expected().path("rows"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"clip", "siglip"})
  void anyLabelsAreComparedAsTheReferenceDoes(String name) throws Exception {
    Fixture fixture = Fixture.load(name);
    for (JsonNode testCase : fixture.expected().path("cases")) {
      List<String> labels = Fixture.stream(testCase.path("labels")).map(JsonNode::asText).toList();
      OptionValues options =
          ALL_LABELS
              .with(Classify.LABELS, List.of(String.join(", ", labels)))
              .with(Classify.LABEL_TEMPLATE, testCase.path("template").asText());
      agree(fixture, new ZeroShotClassifier(fixture.model(), options), testCase.path("rows"));
    }
  }

  @Test
  void optionsMustFitTheModel() {
    Problems problems = new Problems();
    OptionValues labels = OptionValues.NONE.with(Classify.LABELS, List.of("a,b", "a"));
    OptionValues pair = OptionValues.NONE.with(Classify.PAIR.column(), "other");
    Classify task = new Classify();
    task.check(labels, Fixture.load("vit-classes").model().pack().spec(), problems);
    task.check(pair, Fixture.load("vit-classes").model().pack().spec(), problems);
    task.check(OptionValues.NONE, Fixture.load("clip").model().pack().spec(), problems);
    task.check(labels, Fixture.load("clip").model().pack().spec(), problems);
    task.check(labels, Fixture.load("bert-classification").model().pack().spec(), problems);
    assertThat(problems.list())
        .extracting(Object::toString)
        .containsExactly(
            "labels: [a,b, a] (expected: none; this model has labels of its own)",
            "text-pair-column: other (expected: none; this model classifies images)",
            "labels: missing (expected: --labels with the labels to choose from)",
            "labels: [a, b, a] (expected: labels that differ, none of them empty)",
            "labels: [a,b, a] (expected: none; this model has labels of its own)");
  }
}
