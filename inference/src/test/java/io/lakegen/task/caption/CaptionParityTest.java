package io.lakegen.task.caption;

import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.NUM_RETURN_SEQUENCES;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.DecodeLoop;
import io.lakegen.decode.DecodeRequest;
import io.lakegen.decode.DecodedSequence;
import io.lakegen.decode.Fixture;
import io.lakegen.encoder.PictureInput;
import io.lakegen.image.ImageDecoder;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInputs;
import io.lakegen.task.caption.Captioner.PictureCaption;
import io.lakegen.task.caption.Captioner.PreparedPicture;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the captioner makes of tiny random models against what transformers makes of the same. */
class CaptionParityTest {
  private static final long MANY = 1 << 20;

  static Stream<Arguments> cases() throws Exception {
    List<Arguments> cases = new ArrayList<>();
    for (String name : List.of("git", "blip", "vit-gpt2", "llava")) {
      Fixture.stream(Fixture.json(name).path("cases"))
          .forEach(c -> cases.add(Arguments.of(name, c.path("name").asText(), c)));
    }
    return cases.stream();
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void tokensEqualTransformers(String name, String title, JsonNode expected) {
    Fixture fixture = Fixture.load(name);
    LoadedModel model = fixture.model();
    List<float[]> pixels = new ArrayList<>();
    for (JsonNode image : fixture.expected().path("images")) {
      pixels.add(new PictureInput(model).pixels(rgb(image, "rgb")));
    }
    OptionValues options = Fixture.options(expected.path("options"));
    List<DecodeRequest<float[]>> requests = new ArrayList<>();
    List<long[]> prompts = fixture.prompts();
    for (int row = 0; row < prompts.size(); row++) {
      long[] prompt =
          prompts.get(row).length > 0 ? prompts.get(row) : new long[] {start(model.pack().spec())};
      int picture = fixture.expected().path("imageOfRow").get(row).asInt();
      requests.add(
          new DecodeRequest<>(prompt, options.get(MAX_NEW_TOKENS), row, pixels.get(picture)));
    }
    for (long budget : new long[] {MANY, 1}) {
      List<List<DecodedSequence>> actual =
          new DecodeLoop<>(
                  model,
                  options,
                  PictureEncoder.of(model),
                  new Budget(budget),
                  DecodeLoop.BudgetUnit.ROWS)
              .run(requests);
      for (int row = 0; row < requests.size(); row++) {
        List<long[]> sequences =
            Fixture.stream(expected.path("sequences").get(row)).map(Fixture::ids).toList();
        assertThat(
                actual.get(row).stream()
                    .limit(options.get(NUM_RETURN_SEQUENCES))
                    .map(DecodedSequence::tokens))
            .as("%s, row %d", title, row)
            .containsExactlyElementsOf(sequences);
      }
    }
  }

  private static long start(PackSpec spec) {
    PackSpec.Generation generation = spec.generation().orElseThrow();
    return generation.decoderStart().orElseGet(() -> generation.bos().orElseThrow());
  }

  private static Captioner captioner(LoadedModel model, int newTokens) {
    return new Captioner(model, OptionValues.NONE.with(MAX_NEW_TOKENS, newTokens), new Budget(16));
  }

  private static RgbImage rgb(JsonNode image, String key) {
    int height = image.path("height").asInt();
    int width = image.path("width").asInt();
    return new RgbImage(
        Base64.getDecoder().decode(image.path(key).asText()), height, width, height, width);
  }

  @ParameterizedTest
  @ValueSource(strings = {"git", "blip", "vit-gpt2", "llava"})
  void preprocessesAsTheImageProcessor(String name) {
    Fixture fixture = Fixture.load(name);
    float[] expected = Fixture.floats(fixture.expected().path("pixels"));
    List<Double> std = fixture.model().pack().spec().image().orElseThrow().std();
    int at = 0;
    for (JsonNode image : fixture.expected().path("images")) {
      float[] actual = new PictureInput(fixture.model()).pixels(rgb(image, "rgb"));
      int plane = actual.length / 3;
      for (int i = 0; i < actual.length; i++) {
        double levels = Math.abs(actual[i] - expected[at + i]) * 255 * std.get(i / plane);
        assertThat(levels).as("picture of %d values, value %d", plane, i).isLessThan(3);
      }
      at += actual.length;
    }
    assertThat(at).isEqualTo(expected.length);
  }

  /** From the file to the encoder's features: this decoder against Pillow's. */
  @ParameterizedTest
  @ValueSource(strings = {"git", "blip", "vit-gpt2", "llava"})
  void featuresOfJpegsEqualThoseOfPillowsPixels(String name) throws Exception {
    Fixture fixture = Fixture.load(name);
    Captioner captioner = captioner(fixture.model(), 20);
    for (JsonNode image : fixture.expected().path("images")) {
      Path jpeg = Fixture.folder(name).resolve(image.path("jpeg").asText());
      RgbImage decoded =
          ImageDecoder.decode(Files.readAllBytes(jpeg), Integer.MAX_VALUE, Integer.MAX_VALUE);
      RgbImage pillow = rgb(image, "jpegRgb");
      assertThat(decoded.pixels()).isEqualTo(pillow.pixels());
      float[] reduced =
          captioner.prepare(RowInputs.of(0, "image", Files.readAllBytes(jpeg))).pixels();
      double cosine =
          cosine(
              features(fixture.model(), reduced),
              features(fixture.model(), new PictureInput(fixture.model()).pixels(pillow)));
      assertThat(cosine).isGreaterThanOrEqualTo(0.999);
    }
  }

  /** A prompt stands in the model's own frame, behind the picture, and not in the answer. */
  @Test
  void answersWhatThePromptAsks() throws Exception {
    Fixture fixture = Fixture.load("llava");
    JsonNode expected = fixture.expected();
    for (int row = 0; row < expected.path("answers").size(); row++) {
      OptionValues options =
          OptionValues.NONE
              .with(MAX_NEW_TOKENS, 20)
              .with(Caption.PROMPT, expected.path("asked").get(row).asText());
      Captioner captioner = new Captioner(fixture.model(), options, new Budget(16));
      JsonNode image = expected.path("images").get(expected.path("imageOfRow").get(row).asInt());
      float[] pixels = new PictureInput(fixture.model()).pixels(rgb(image, "rgb"));
      PreparedPicture picture = new PreparedPicture(new byte[] {0}, 0, pixels, 32, 32, null);
      assertThat(captioner.infer(List.of(picture)).get(0).get(0).text())
          .isEqualTo(expected.path("answers").get(row).asText());
    }
  }

  static float[] features(LoadedModel model, float[] pixels) {
    PackSpec spec = model.pack().spec();
    PackSpec.Image image = spec.image().orElseThrow();
    PackSpec.Cache cache = spec.cache().orElseThrow();
    try (NDManager manager = model.newManager()) {
      NDList inputs =
          new NDList(manager.create(pixels, new Shape(1, 3, image.height(), image.width())));
      if (cache.prefix() > 0) {
        inputs.add(
            manager.zeros(
                new Shape(cache.layers(), 2, 1, cache.heads(), cache.prefix(), cache.headDim()),
                DataType.FLOAT32));
      }
      NDArray features = model.graph("encoder").run(inputs).head();
      return features.toFloatArray();
    }
  }

  static double cosine(float[] a, float[] b) {
    double product = 0;
    double normA = 0;
    double normB = 0;
    for (int i = 0; i < a.length; i++) {
      product += (double) a[i] * b[i];
      normA += (double) a[i] * a[i];
      normB += (double) b[i] * b[i];
    }
    return product / Math.sqrt(normA * normB);
  }

  @ParameterizedTest
  @ValueSource(strings = {"git", "blip", "vit-gpt2", "llava"})
  void captionsWholeFiles(String name) throws Exception {
    Fixture fixture = Fixture.load(name);
    Captioner captioner = captioner(fixture.model(), 6);
    List<PreparedPicture> pictures = new ArrayList<>();
    for (JsonNode image : fixture.expected().path("images")) {
      byte[] file = Files.readAllBytes(Fixture.folder(name).resolve(image.path("jpeg").asText()));
      pictures.add(captioner.prepare(RowInputs.of(0, "image", file)));
    }
    List<List<PictureCaption>> together = captioner.infer(pictures);
    for (int i = 0; i < pictures.size(); i++) {
      JsonNode image = fixture.expected().path("images").get(i);
      PictureCaption caption = together.get(i).get(0);
      assertThat(together.get(i)).hasSize(1);
      assertThat(caption.picture().height()).isEqualTo(image.path("height").asInt());
      assertThat(caption.picture().width()).isEqualTo(image.path("width").asInt());
      assertThat(caption.tokenCount()).isBetween(1, 6);
      assertThat(caption.meanLogProbability()).isLessThan(0).isGreaterThan(-30);
      PictureCaption alone = captioner.infer(List.of(pictures.get(i))).get(0).get(0);
      assertThat(alone.text()).isEqualTo(caption.text());
      assertThat(captioner.identity(pictures.get(i)))
          .isEqualTo(captioner.identity(pictures.get(i)))
          .isNotEqualTo(captioner.identity(pictures.get((i + 1) % pictures.size())));
    }
  }
}
