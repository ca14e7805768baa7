package io.lakegen.image;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.Fuzz;
import io.lakegen.task.RowException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;

/** Changed images of all formats are images or rejected rows, nothing else. */
class ImageFuzzTest {
  private static List<byte[]> images() throws IOException {
    try (Stream<Path> files = Files.walk(Path.of("src/test/resources/images"))) {
      return files
          .filter(f -> f.toString().matches(".*\\.(jpg|png|gif|bmp|webp|tif)"))
          .sorted()
          .map(
              f -> {
                try {
                  return Files.readAllBytes(f);
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              })
          .toList();
    }
  }

  @Test
  void changedImagesAreImagesOrRejected() throws Exception {
    List<byte[]> images = images();
    assertThat(images).hasSizeGreaterThan(70);
    Map<String, Integer> outcomes = new TreeMap<>();
    Fuzz.run(
        "images",
        1_500,
        images,
        ImageFuzzTest::withSoundChunks,
        file -> {
          int[] sizes = {Integer.MAX_VALUE, 224, 1};
          int size = sizes[file.length % sizes.length];
          String outcome;
          try {
            RgbImage image = ImageDecoder.decode(file, size, size);
            assertThat(image.pixels()).hasSize(image.height() * image.width() * 3);
            assertThat((long) image.originalHeight() * image.originalWidth())
                .isBetween(1L, ImageDecoder.MAX_PIXELS);
            outcome = "decoded";
          } catch (RowException e) {
            assertThat(e.error().stage()).isEqualTo("prepare");
            outcome = e.error().type();
          }
          outcomes.merge(outcome, 1, Integer::sum);
        });
    System.out.println("fuzz images: " + outcomes);
    // Neither all good nor all refused at the first byte: the changes reach the decoders.
    assertThat(outcomes).containsKeys("decoded", "corrupt_image", "truncated_image");
  }

  /** Most PNGs get true checksums again, or the decoder behind the check would see few of them. */
  private static byte[] withSoundChunks(byte[] file, Random random) {
    boolean png =
        file.length > 12
            && new String(file, 1, 3, StandardCharsets.ISO_8859_1).equals("PNG")
            && random.nextInt(4) > 0;
    if (png) {
      ByteBuffer in = ByteBuffer.wrap(file);
      int chunk = 8;
      while (file.length - chunk >= 12) {
        int length = in.getInt(chunk);
        if (length < 0 || file.length - chunk - 12 < length) {
          break;
        }
        CRC32 crc = new CRC32();
        crc.update(file, chunk + 4, length + 4);
        in.putInt(chunk + 8 + length, (int) crc.getValue());
        chunk += 12 + length;
      }
    }
    return file;
  }

  /** What headers can claim at most, in files of a few bytes. */
  @Test
  void smallFilesThatClaimToBeHugeAreRejectedFromTheirHeaders() throws Exception {
    List<String> types = new ArrayList<>();
    byte[] png = Files.readAllBytes(Path.of("src/test/resources/images/rgb.png"));
    ByteBuffer.wrap(png).putInt(16, 30_000).putInt(20, 30_000);
    byte[] bmp = Files.readAllBytes(Path.of("src/test/resources/images/rgb.bmp"));
    ByteBuffer.wrap(bmp)
        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
        .putInt(18, 30_000)
        .putInt(22, 30_000);
    byte[] gif = Files.readAllBytes(Path.of("src/test/resources/images/plain.gif"));
    ByteBuffer.wrap(gif)
        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
        .putShort(6, (short) 65_535)
        .putShort(8, (short) 65_535);
    for (byte[] file : List.of(withSoundChunks(png, new AlwaysOne()), bmp, gif)) {
      try {
        ImageDecoder.decode(file, 1, 1);
        types.add("decoded");
      } catch (RowException e) {
        types.add(e.error().type());
      }
    }
    assertThat(types).containsExactly("image_too_large", "image_too_large", "image_too_large");
  }

  private static final class AlwaysOne extends Random {
    private static final long serialVersionUID = 1L;

    @Override
    public int nextInt(int bound) {
      return 1;
    }
  }
}
