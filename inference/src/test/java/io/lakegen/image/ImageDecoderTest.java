package io.lakegen.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.ChildJvm;
import io.lakegen.task.RowException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class ImageDecoderTest {
  private static final Path IMAGES = Path.of("src/test/resources/images");
  private static final int ALL = Integer.MAX_VALUE;

  static Stream<String> good() throws IOException {
    return names("expected.json");
  }

  static Stream<String> bad() throws IOException {
    return names("bad.json");
  }

  private static Stream<String> names(String index) throws IOException {
    List<String> names = new ArrayList<>();
    json(index).fieldNames().forEachRemaining(names::add);
    assertThat(names).hasSizeGreaterThan(20);
    return names.stream();
  }

  private static JsonNode json(String file) throws IOException {
    return new ObjectMapper().readTree(IMAGES.resolve(file).toFile());
  }

  private static byte[] bytes(String name) throws IOException {
    return Files.readAllBytes(IMAGES.resolve(name));
  }

  @ParameterizedTest
  @MethodSource("good")
  void decodesWhatPillowDecodes(String name) throws Exception {
    JsonNode expected = json("expected.json").path(name);
    RgbImage image = ImageDecoder.decode(bytes(name), ALL, ALL);
    assertThat(image.height()).isEqualTo(expected.path("height").asInt());
    assertThat(image.width()).isEqualTo(expected.path("width").asInt());
    assertThat(image.originalHeight()).isEqualTo(image.height());
    assertThat(image.originalWidth()).isEqualTo(image.width());
    int step = expected.path("step").asInt();
    JsonNode rgb = expected.path("rgb");
    assertThat(rgb.size()).isGreaterThan(100);
    int largest = 0;
    for (int i = 0; i < rgb.size(); i++) {
      int actual = image.pixels()[i / 3 * step * 3 + i % 3] & 0xFF;
      largest = Math.max(largest, Math.abs(actual - rgb.get(i).asInt()));
    }
    // Only blending and TwelveMonkeys' own JPEG-in-TIFF path may round otherwise.
    assertThat(largest).isLessThanOrEqualTo(name.equals("jpeg.tif") ? 3 : 1);
  }

  @ParameterizedTest
  @MethodSource("bad")
  void rejectsWhatIsBad(String name) throws Exception {
    byte[] file = bytes("bad/" + name);
    String type = json("bad.json").path(name).asText();
    assertThatThrownBy(() -> ImageDecoder.decode(file, ALL, ALL))
        .isInstanceOfSatisfying(
            RowException.class,
            e -> {
              assertThat(e.error().stage()).isEqualTo("prepare");
              assertThat(e.error().type()).as(e.getMessage()).isEqualTo(type);
              assertThat(e.error().message())
                  .as(name)
                  .hasSizeGreaterThan(20)
                  .doesNotContain("null")
                  .doesNotContain("Exception");
            });
  }

  /** libjpeg fills the missing part with grey and reports success, at every scale. */
  @ParameterizedTest
  @CsvSource({"1000, 1000", "100, 100", "60, 60", "30, 30"})
  void noScaleHidesTruncation(int minHeight, int minWidth) throws IOException {
    for (String name : List.of("truncated-large.jpg", "hole.jpg")) {
      byte[] file = bytes("bad/" + name);
      assertThatThrownBy(() -> ImageDecoder.decode(file, minHeight, minWidth))
          .isInstanceOf(RowException.class)
          .hasMessageMatching("JPEG( of 4046 bytes)?: .+");
    }
  }

  @Test
  void aJpegCutAnywhereIsTruncated() throws IOException {
    for (String name : List.of("rgb-420.jpg", "progressive.jpg")) {
      byte[] whole = bytes(name);
      for (int length = 4; length < whole.length - 2; length++) {
        byte[] file = Arrays.copyOf(whole, length);
        assertThatThrownBy(() -> ImageDecoder.decode(file, ALL, ALL))
            .isInstanceOfSatisfying(
                RowException.class,
                e -> assertThat(e.error().type()).as(e.getMessage()).isEqualTo("truncated_image"));
      }
    }
  }

  @Test
  void libjpegWritesNothingOnTheConsole() throws Exception {
    List<String> files =
        Stream.of("truncated-large.jpg", "hole.jpg")
            .map(name -> IMAGES.resolve("bad/" + name).toString())
            .toList();
    Process process =
        ChildJvm.of(DecodingMain.class, List.of(), files.toArray(String[]::new)).start();
    byte[] written = process.getErrorStream().readAllBytes();
    assertThat(process.waitFor()).isZero();
    assertThat(new String(written, StandardCharsets.UTF_8).lines())
        .filteredOn(line -> line.contains("JPEG"))
        .containsExactly("2 refused; of JPEG files");
  }

  /** Decodes files that are all refused. */
  static final class DecodingMain {
    public static void main(String[] files) throws IOException {
      int refused = 0;
      for (String file : files) {
        try {
          ImageDecoder.decode(Files.readAllBytes(Path.of(file)), ALL, ALL);
        } catch (RowException e) {
          refused++;
        }
      }
      System.err.println(refused + " refused; of JPEG files");
    }
  }

  @Test
  void nullIsNoImage() {
    assertThatThrownBy(() -> ImageDecoder.decode(null, 1, 1))
        .isInstanceOf(RowException.class)
        .hasMessage("the image is null (expected: an image file)");
  }

  @Test
  void tooManyBytesAreRejectedByLength() {
    assertThatThrownBy(() -> ImageDecoder.checkBytes(ImageDecoder.MAX_BYTES + 1L))
        .isInstanceOf(RowException.class)
        .hasMessage("134217729 bytes (expected: at most 134217728)");
  }

  @ParameterizedTest
  @CsvSource({
    "240, 320, 240, 320",
    "121, 160, 240, 320",
    "120, 160, 120, 160",
    "60, 60, 60, 80",
    "30, 40, 30, 40",
    "1, 1, 30, 40"
  })
  void reducesToNoFewerPixelsThanAskedFor(int minHeight, int minWidth, int height, int width)
      throws Exception {
    RgbImage image = ImageDecoder.decode(bytes("large.jpg"), minHeight, minWidth);
    assertThat(List.of(image.height(), image.width())).containsExactly(height, width);
    assertThat(List.of(image.originalHeight(), image.originalWidth())).containsExactly(240, 320);
  }

  @Test
  void reducedPixelsAreTheMeanOfWhatTheyCover() throws Exception {
    RgbImage whole = ImageDecoder.decode(bytes("large.jpg"), ALL, ALL);
    RgbImage reduced = ImageDecoder.decode(bytes("large.jpg"), 60, 80);
    double difference = 0;
    for (int y = 0; y < 60; y++) {
      for (int x = 0; x < 80; x++) {
        for (int c = 0; c < 3; c++) {
          int sum = 0;
          for (int i = 0; i < 16; i++) {
            sum += whole.pixels()[((4 * y + i / 4) * 320 + 4 * x + i % 4) * 3 + c] & 0xFF;
          }
          difference += Math.abs(sum / 16.0 - (reduced.pixels()[(y * 80 + x) * 3 + c] & 0xFF));
        }
      }
    }
    assertThat(difference / reduced.pixels().length).isLessThan(1.5);
  }

  @Test
  void theSizeAskedForIsUpright() throws Exception {
    // Stored 240 x 320, seen 320 x 240: 60 columns are not enough for 80.
    RgbImage image = ImageDecoder.decode(bytes("large-turned.jpg"), 80, 60);
    assertThat(List.of(image.height(), image.width())).containsExactly(80, 60);
    assertThat(List.of(image.originalHeight(), image.originalWidth())).containsExactly(320, 240);
    RgbImage larger = ImageDecoder.decode(bytes("large-turned.jpg"), 60, 80);
    assertThat(List.of(larger.height(), larger.width())).containsExactly(160, 120);
  }

  @Test
  void threadsDoNotDisturbEachOther() throws Exception {
    List<String> names = good().toList();
    List<byte[]> alone = new ArrayList<>();
    for (String name : names) {
      alone.add(ImageDecoder.decode(bytes(name), ALL, ALL).pixels());
    }
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Callable<byte[]>> calls = new ArrayList<>();
      for (int round = 0; round < 5; round++) {
        for (String name : names) {
          calls.add(() -> ImageDecoder.decode(bytes(name), ALL, ALL).pixels());
        }
      }
      List<Future<byte[]>> results = threads.invokeAll(calls);
      for (int i = 0; i < results.size(); i++) {
        assertThat(results.get(i).get()).isEqualTo(alone.get(i % alone.size()));
      }
    } finally {
      threads.shutdownNow();
    }
  }
}
