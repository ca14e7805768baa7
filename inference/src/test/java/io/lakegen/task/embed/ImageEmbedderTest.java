package io.lakegen.task.embed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.encoder.FixturePictures;
import io.lakegen.encoder.PictureTask.Picture;
import io.lakegen.encoder.TextEncoderTask.Tokens;
import io.lakegen.task.Argument.Kind;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
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
    ImageEmbedder embedder = new ImageEmbedder(fixture.model());
    List<Picture> pictures =
        FixturePictures.pixels(fixture).stream().map(p -> new Picture(new byte[0], p)).toList();
    List<float[]> expected = vectors(fixture.expected().path("imageVectors"));
    List<float[]> together = embedder.infer(pictures);
    assertThat(together).hasSizeGreaterThan(2).hasSameSizeAs(expected);
    List<RowInput> files = FixturePictures.rows(fixture);
    for (int i = 0; i < expected.size(); i++) {
      agree(together.get(i), expected.get(i), 1e-5f);
      agree(embedder.infer(List.of(pictures.get(i))).get(0), expected.get(i), 1e-5f);
    }
    // The one of these pictures that the processor does not resize.
    int exact = name.equals("dinov2") ? 1 : 0;
    float[] ofFile = embedder.infer(List.of(embedder.prepare(files.get(exact)))).get(0);
    agree(ofFile, expected.get(exact), 1e-5f);
    embedder.check();
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
