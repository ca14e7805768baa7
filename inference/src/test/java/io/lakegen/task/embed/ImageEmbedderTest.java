package io.lakegen.task.embed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.encoder.FixturePictures;
import io.lakegen.encoder.PictureTask.Picture;
import io.lakegen.encoder.TextEncoderTask.Tokens;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument.Kind;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Vectors of pictures, and of texts in the same space, against those of transformers. */
class ImageEmbedderTest {

  private static List<float[]> vectors(JsonNode numbers) {
    float[] all = Fixture.floats(numbers);
    int size = numbers.path("shape").get(1).asInt();
    List<float[]> vectors = new ArrayList<>();
    for (int from = 0; from < all.length; from += size) {
      vectors.add(Arrays.copyOfRange(all, from, from + size));
    }
    return vectors;
  }

  private static void agree(float[] actual, float[] expected, float tolerance) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      assertThat(actual[i]).isCloseTo(expected[i], within(tolerance));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"dinov2", "clip", "siglip"})
  void picturesInABatchAloneAndFromFiles(String name) throws Exception {
    Fixture fixture = Fixture.load(name);
    ImageEmbedder embedder = new ImageEmbedder(fixture.model(), false);
    List<Picture> pictures =
        FixturePictures.pixels(fixture).stream().map(p -> new Picture(new byte[0], p)).toList();
    List<float[]> expected = vectors(fixture.expected().path("imageVectors"));
    List<ImageEmbedder.Embedding> together = embedder.infer(pictures);
    assertThat(together).hasSizeGreaterThan(2).hasSameSizeAs(expected);
    List<RowInput> files = FixturePictures.rows(fixture);
    for (int i = 0; i < expected.size(); i++) {
      agree(together.get(i).vector(), expected.get(i), 1e-5f);
      agree(embedder.infer(List.of(pictures.get(i))).get(0).vector(), expected.get(i), 1e-5f);
    }
    // The one of these pictures that the processor does not resize.
    int exact = name.equals("dinov2") ? 1 : 0;
    float[] ofFile = embedder.infer(List.of(embedder.prepare(files.get(exact)))).get(0).vector();
    agree(ofFile, expected.get(exact), 1e-5f);
    embedder.check();
  }

  /**
   * A class token and three registers stand in front of dinov2's patches, a class token of clip's.
   */
  @ParameterizedTest
  @CsvSource({"dinov2-attention, 20", "clip-attention, 17"})
  void attentionIsThatOfTransformersInEveryBatch(String name, int tokens) throws Exception {
    Fixture fixture = Fixture.load(name);
    ImageEmbedder embedder = new ImageEmbedder(fixture.model(), true);
    ImageEmbedder plain = new ImageEmbedder(fixture.model(), false);
    List<Picture> pictures =
        FixturePictures.pixels(fixture).stream().map(p -> new Picture(new byte[0], p)).toList();
    float[] expected = Fixture.floats(fixture.expected().path("weights"));
    List<ImageEmbedder.Embedding> together = embedder.infer(pictures);
    assertThat(together).hasSize(5);
    assertThat(expected).hasSize(5 * tokens * tokens);
    for (int i = 0; i < pictures.size(); i++) {
      List<Object> values = embedder.values(together.get(i)).get(0);
      assertThat(values.subList(2, 4)).containsExactly(4, 4);
      ImageEmbedder.Embedding alone = embedder.infer(List.of(pictures.get(i))).get(0);
      assertThat(values.get(1)).isEqualTo(together.get(i).attention());
      assertThat(together.get(i).attention()).hasSize(tokens);
      for (int t = 0; t < tokens; t++) {
        int from = (i * tokens + t) * tokens;
        float[] weights = Arrays.copyOfRange(expected, from, from + tokens);
        agree(together.get(i).attention().get(t), weights, 1e-5f);
        agree(alone.attention().get(t), weights, 1e-5f);
        agree(alone.attention().get(t), together.get(i).attention().get(t), 1e-6f);
      }
      float[] vector = plain.infer(List.of(pictures.get(i))).get(0).vector();
      agree(together.get(i).vector(), vector, 1e-5f);
      assertThat(plain.values(plain.infer(List.of(pictures.get(i))).get(0)).get(0)).hasSize(1);
    }
    embedder.check();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          dinov2         | IMAGE         | a pack with attention; export the model again, with --attention-layer N
          dinov2         | TEXT_OR_IMAGE | a pack with attention; export the model again, with --attention-layer N
          clip           | IMAGE         | a pack with attention; export the model again, with --attention-layer N
          clip-attention | TEXT          | images; of a model for both, texts do not show their attention
          clip-attention | IMAGE         |
          clip-attention | TEXT_OR_IMAGE |
          """)
  void attentionNeedsAPackThatHasItAndImages(String name, Kind reads, String expected) {
    Problems problems = new Problems();
    new Embed(reads)
        .check(
            OptionValues.NONE.with(Embed.ATTENTION, true),
            Fixture.load(name).model().pack().spec(),
            problems);
    assertThat(problems.list())
        .extracting(Problem::toString)
        .isEqualTo(
            expected == null ? List.of() : List.of("attention: true (expected: " + expected + ")"));
  }

  @Test
  void textsOfAPackThatShowsAttentionToImagesAreEmbedded() throws Exception {
    Fixture fixture = Fixture.load("clip-attention");
    DualTextEmbedder embedder = new DualTextEmbedder(fixture.model());
    Tokens text = embedder.prepare(RowInputs.of("text", "a red boat"));
    assertThat(embedder.infer(List.of(text)).get(0).vector()).hasSize(24);
  }

  @ParameterizedTest
  @ValueSource(strings = {"clip", "siglip"})
  void textsInABatchAndAlone(String name) throws Exception {
    Fixture fixture = Fixture.load(name);
    DualTextEmbedder embedder = new DualTextEmbedder(fixture.model());
    List<float[]> expected = vectors(fixture.expected().path("textVectors"));
    List<Tokens> texts = new ArrayList<>();
    for (JsonNode text : fixture.expected().path("texts")) {
      texts.add(embedder.prepare(RowInputs.of("text", text.asText())));
    }
    List<TextEmbedder.Embedding> together = embedder.infer(texts);
    assertThat(together).hasSizeGreaterThan(5).hasSameSizeAs(expected);
    for (int i = 0; i < expected.size(); i++) {
      agree(together.get(i).vector(), expected.get(i), 1e-5f);
      agree(embedder.infer(List.of(texts.get(i))).get(0).vector(), expected.get(i), 1e-5f);
    }
    assertThat(together.get(expected.size() - 1).truncated()).isTrue();
    embedder.check();
  }

  @Test
  void theModelAndTheColumnDecideWhatIsRead() {
    Embed task = new Embed();
    assertThat(task.with(Fixture.load("bert").model().pack().spec(), true))
        .isEqualTo(new Embed(Kind.TEXT));
    assertThat(task.with(Fixture.load("dinov2").model().pack().spec(), false))
        .isEqualTo(new Embed(Kind.IMAGE));
    assertThat(task.with(Fixture.load("clip").model().pack().spec(), false))
        .isEqualTo(new Embed(Kind.TEXT));
    assertThat(task.with(Fixture.load("clip").model().pack().spec(), true))
        .isEqualTo(new Embed(Kind.IMAGE));
  }
}
