package io.lakegen.encoder;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.lakegen.image.ImageDecoder;
import io.lakegen.image.RgbImage;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.task.RowException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * Image files as a model sees them: decoded, and resized and normalised by the pack's graph {@code
 * preprocess} on the CPU. Thread-safe.
 */
public final class PictureInput {
  /**
   * A JPEG is decoded at reduced size down to this many times the model's input size. At 2, the
   * features of a trained encoder keep a cosine of 0.9997 to those of a whole decode over eight
   * noisy photographs; at 1.5 it falls to 0.9989.
   */
  private static final int MARGIN = 2;

  /**
   * Longest side by shortest. Scaled to the model's shortest side, a thin line of pixels would fill
   * gigabytes.
   */
  private static final int MAX_ASPECT_RATIO = 200;

  private final Graph preprocess;
  private final PackSpec.Image image;

  /** A file's bytes as a key; the checksum runs at memory speed, unlike a byte-wise hash code. */
  public record Content(byte[] file) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Content content && Arrays.equals(file, content.file);
    }

    @Override
    public int hashCode() {
      CRC32C crc = new CRC32C();
      crc.update(file);
      return (int) crc.getValue();
    }
  }

  /** The pictures of a loaded pack that has an image section; it stays the caller's to close. */
  public PictureInput(LoadedModel model) {
    this.preprocess = model.graph(LoadedModel.PREPROCESS);
    this.image = model.pack().spec().image().orElseThrow();
  }

  /**
   * Decodes an image file.
   *
   * @param file may be null
   * @param minSide pixels of either side that the caller needs besides; 0 for none
   * @throws RowException if it is no image that can be decoded, or far longer than wide
   */
  public RgbImage decode(byte[] file, int minSide) throws RowException {
    RgbImage rgb =
        ImageDecoder.decode(
            file,
            Math.max(MARGIN * image.height(), minSide),
            Math.max(MARGIN * image.width(), minSide));
    int longest = Math.max(rgb.originalHeight(), rgb.originalWidth());
    int shortest = Math.min(rgb.originalHeight(), rgb.originalWidth());
    if (longest > MAX_ASPECT_RATIO * (long) shortest) {
      throw RowException.prepare(
          "extreme_aspect_ratio",
          rgb.originalWidth()
              + " x "
              + rgb.originalHeight()
              + " pixels (expected: the longer side at most "
              + MAX_ASPECT_RATIO
              + " times the shorter)");
    }
    return rgb;
  }

  /** The model's input for a decoded image: {@code [3, height, width]} of the pack, normalised. */
  public float[] pixels(RgbImage rgb) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(rgb.pixels().length).put(rgb.pixels()).rewind();
    try (NDManager manager = preprocess.newManager()) {
      NDArray array =
          manager.create(bytes, new Shape(rgb.height(), rgb.width(), 3), DataType.UINT8);
      return preprocess.run(array).head().toFloatArray();
    }
  }

  /**
   * The batch {@code [pictures, 3, height, width]}, float32, owned by the manager.
   *
   * @param pictures what {@link #pixels} gave, one or more
   */
  public NDArray batch(NDManager manager, List<float[]> pictures) {
    FloatBuffer pixels = FloatBuffer.allocate(pictures.size() * pictures.get(0).length);
    pictures.forEach(pixels::put);
    return manager.create(
        pixels.array(), new Shape(pictures.size(), 3, image.height(), image.width()));
  }

  /** Bytes of {@link #pixels}. */
  public long bytes() {
    return 3L * Float.BYTES * image.height() * image.width();
  }
}
