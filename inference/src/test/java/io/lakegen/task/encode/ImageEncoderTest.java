package io.lakegen.task.encode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.diffusion.Autoencoder;
import io.lakegen.diffusion.AutoencoderSpec;
import io.lakegen.image.ImageDecoder;
import io.lakegen.image.ImageFiles;
import io.lakegen.image.ImageQuality;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Latents and reconstructions against those of the same autoencoders in Python. */
class ImageEncoderTest {
  private static RgbImage rgb(JsonNode picture) {
    int height = picture.path("height").asInt();
    int width = picture.path("width").asInt();
    return new RgbImage(
        Base64.getDecoder().decode(picture.path("rgb").asText()), height, width, height, width);
  }

  private static RowInput row(JsonNode expected) {
    return RowInputs.of(
        1,
        "image",
        ImageFiles.png(rgb(expected.path("image"))),
        "other",
        ImageFiles.png(rgb(expected.path("other"))));
  }

  private static RowInput imageOnly(JsonNode expected) {
    return RowInputs.of(1, "image", ImageFiles.png(rgb(expected.path("image"))));
  }

  private static List<Object> values(LoadedModel model, OptionValues options, RowInput row)
      throws RowException {
    ImageEncoder encoder = new ImageEncoder(model, options);
    return encoder.values(encoder.infer(List.of(encoder.prepare(row))).get(0)).get(0);
  }

  private static void assertClose(byte[] file, JsonNode expected) throws RowException {
    RgbImage actual = ImageDecoder.decode(file, 32, 32);
    byte[] pixels = rgb(expected).pixels();
    for (int i = 0; i < pixels.length; i++) {
      assertThat(actual.pixels()[i] & 0xFF).isCloseTo(pixels[i] & 0xFF, within(2));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"autoencoder-kl", "vae"})
  void latentsAndReconstructionsEqualTheReference(String name) throws RowException {
    Fixture fixture = Fixture.load(name);
    JsonNode expected = fixture.expected();
    List<Object> values =
        values(
            fixture.model(), OptionValues.NONE.with(Encode.RECONSTRUCT, true), imageOnly(expected));
    assertThat((float[]) values.get(0))
        .containsExactly(Fixture.floats(expected.path("latents")), within(1e-3f));
    assertThat((int[]) values.get(1))
        .isEqualTo(name.equals("vae") ? new int[] {6, 1, 1} : new int[] {4, 16, 16});
    assertClose((byte[]) values.get(2), expected.path("reconstruction"));
    assertThat((Double) values.get(3)).isCloseTo(expected.path("psnr").asDouble(), within(0.05));
    assertThat((Double) values.get(4)).isCloseTo(expected.path("ssim").asDouble(), within(0.005));
  }

  @ParameterizedTest
  @ValueSource(strings = {"autoencoder-kl", "vae"})
  void imagesBetweenTwoEqualTheReference(String name) throws RowException {
    Fixture fixture = Fixture.load(name);
    JsonNode expected = fixture.expected();
    List<Object> values =
        values(
            fixture.model(),
            OptionValues.NONE
                .with(Encode.OTHER.column(), "other")
                .with(Encode.INTERPOLATION_WEIGHT, expected.path("weight").asDouble()),
            row(expected));
    assertThat(values).hasSize(3);
    assertClose((byte[]) values.get(2), expected.path("interpolation"));
  }

  @Test
  void latentsAreDrawnFromTheEncodersDistribution() {
    Fixture fixture = Fixture.load("autoencoder-kl");
    JsonNode expected = fixture.expected();
    Autoencoder autoencoder =
        new Autoencoder(
            fixture.model(), AutoencoderSpec.of(fixture.model().pack().spec()).latents());
    float[] image = Autoencoder.values(rgb(expected.path("image")));
    float[] noise = Fixture.floats(expected.path("noise"));
    assertThat(autoencoder.encode(List.of(image), List.of(noise), 32, 32).get(0))
        .containsExactly(Fixture.floats(expected.path("sampled")), within(1e-3f));
  }

  @Test
  void drawnLatentsDependOnTheSeed() throws RowException {
    Fixture fixture = Fixture.load("vae");
    OptionValues options = OptionValues.NONE.with(Encode.SAMPLE, true);
    byte[] file = ImageFiles.png(rgb(fixture.expected().path("image")));
    float[] one = (float[]) values(fixture.model(), options, RowInputs.of(1, "image", file)).get(0);
    assertThat(values(fixture.model(), options, RowInputs.of(1, "image", file)).get(0))
        .isEqualTo(one);
    assertThat(values(fixture.model(), options, RowInputs.of(2, "image", file)).get(0))
        .isNotEqualTo(one);
  }

  /** Figures computed by the fixtures' script from the definitions. */
  @Test
  void qualityIsThatOfTheDefinitions() {
    JsonNode expected = Fixture.load("vae").expected();
    RgbImage image = rgb(expected.path("image"));
    RgbImage reconstruction = rgb(expected.path("reconstruction"));
    assertThat(ImageQuality.psnr(image, reconstruction))
        .isCloseTo(expected.path("psnr").asDouble(), within(1e-9));
    assertThat(ImageQuality.ssim(image, reconstruction))
        .isCloseTo(expected.path("ssim").asDouble(), within(1e-9));
    assertThat(ImageQuality.psnr(image, image)).isInfinite();
    assertThat(ImageQuality.ssim(image, image)).isCloseTo(1, within(1e-12));
  }

  private static List<String> problems(OptionValues options) {
    Problems problems = new Problems();
    new Encode().check(options, problems);
    new Encode().check(options, Fixture.load("vae").model().pack().spec(), problems);
    return problems.list().stream().map(Problem::toString).toList();
  }

  @Test
  void wrongOptionsAreTold() {
    assertThat(
            problems(
                OptionValues.NONE.with(Encode.HEIGHT, 64).with(Encode.INTERPOLATION_WEIGHT, 0.25)))
        .containsExactly(
            "interpolation-weight: 0.25 (expected: only with interpolate-with)",
            "height, width: 64, 32 (expected: 32, 32, the only size of this model)");
    assertThat(
            problems(
                OptionValues.NONE
                    .with(Encode.RECONSTRUCT, true)
                    .with(Encode.OTHER.column(), "other")))
        .containsExactly(
            "reconstruct: with interpolate-with (expected: one of them; both give an image)");
  }
}
