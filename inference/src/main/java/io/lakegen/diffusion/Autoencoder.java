package io.lakegen.diffusion;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import java.util.ArrayList;
import java.util.List;

/** Pictures to latents and back, a few at a time. Thread-safe. */
public final class Autoencoder {
  /**
   * Pixels that are decoded or encoded at once: the autoencoder needs far more memory a pixel, and
   * is fastest on a CPU while that fits in its caches.
   */
  private static final int SLICE_PIXELS = 2 * 256 * 256;

  private final LoadedModel model;
  private final DiffusionSpec.Latents latents;

  /** An autoencoder over a loaded model, which stays the caller's to close. */
  public Autoencoder(LoadedModel model, DiffusionSpec.Latents latents) {
    this.model = model;
    this.latents = latents;
  }

  /** A picture as models see it: {@code [3, height, width]} in -1..1. */
  public static float[] values(RgbImage image) {
    byte[] pixels = image.pixels();
    int plane = pixels.length / 3;
    float[] values = new float[pixels.length];
    for (int i = 0; i < pixels.length; i++) {
      values[i % 3 * plane + i / 3] = (pixels[i] & 0xFF) / 127.5f - 1;
    }
    return values;
  }

  /** Numbers of a latent of a picture of this size. */
  public int count(int height, int width) {
    return (int) latents.shape(1, height, width).size();
  }

  /**
   * Latents of pictures.
   *
   * @param pictures {@code [3, height, width]} in -1..1, all of one size
   * @param noise standard normal numbers for each, by which its latent is drawn
   * @return latents as the denoiser knows them: scaled
   */
  public List<float[]> encode(List<float[]> pictures, List<float[]> noise, int height, int width) {
    int pixels = 3 * height * width;
    int count = count(height, width);
    List<float[]> encoded = new ArrayList<>(pictures.size());
    for (List<float[]> slice : slices(pictures, height, width)) {
      float[] values = new float[slice.size() * pixels];
      for (int row = 0; row < slice.size(); row++) {
        System.arraycopy(slice.get(row), 0, values, row * pixels, pixels);
      }
      try (NDManager manager = model.newManager()) {
        NDList distribution =
            model
                .graph("vae_encoder")
                .run(manager.create(values, new Shape(slice.size(), 3, height, width)));
        float[] mean = distribution.get(0).toFloatArray();
        float[] deviation = distribution.get(1).toFloatArray();
        for (int row = 0; row < slice.size(); row++) {
          float[] drawn = noise.get(encoded.size());
          float[] latent = new float[count];
          for (int i = 0; i < count; i++) {
            int at = row * count + i;
            double raw = mean[at] + deviation[at] * drawn[i];
            latent[i] = (float) ((raw - latents.shift()) * latents.scalingFactor());
          }
          encoded.add(latent);
        }
      }
    }
    return encoded;
  }

  /**
   * Pictures of latents.
   *
   * @param encoded latents as the denoiser knows them: scaled
   * @throws ArithmeticException if the model answers with something else than numbers
   */
  public List<RgbImage> decode(List<float[]> encoded, int height, int width) {
    int count = count(height, width);
    List<RgbImage> decoded = new ArrayList<>(encoded.size());
    float[] pixels = {};
    for (List<float[]> slice : slices(encoded, height, width)) {
      float[] values = new float[slice.size() * count];
      for (int row = 0; row < slice.size(); row++) {
        for (int i = 0; i < count; i++) {
          values[row * count + i] =
              (float) (slice.get(row)[i] / latents.scalingFactor() + latents.shift());
        }
      }
      try (NDManager manager = model.newManager()) {
        NDArray rows = manager.create(values, latents.shape(slice.size(), height, width));
        NDArray running = model.graph("vae_decoder").run(rows).head();
        // A GPU is at work on this slice until its numbers are asked for.
        addImages(decoded, pixels, height, width);
        pixels = running.toFloatArray();
      }
    }
    addImages(decoded, pixels, height, width);
    return decoded;
  }

  private static void addImages(List<RgbImage> images, float[] pixels, int height, int width) {
    int rows = pixels.length / (3 * height * width);
    for (int row = 0; row < rows; row++) {
      images.add(rgb(pixels, row, height, width));
    }
  }

  /**
   * {@code [3, height, width]} in -1..1, number {@code row} of many, as 8-bit pixels.
   *
   * @throws ArithmeticException for something else than numbers
   */
  public static RgbImage rgb(float[] values, int row, int height, int width) {
    int plane = height * width;
    byte[] pixels = new byte[3 * plane];
    for (int i = 0; i < plane; i++) {
      for (int channel = 0; channel < 3; channel++) {
        float value = values[(3 * row + channel) * plane + i];
        if (Float.isNaN(value)) {
          throw new ArithmeticException(
              "the image holds values that are no numbers (expected: -1 to 1; did the "
                  + "pack's dtype overflow?)");
        }
        double unit = Math.max(0, Math.min(1, value / 2 + 0.5));
        pixels[3 * i + channel] = (byte) Math.rint(unit * 255);
      }
    }
    return new RgbImage(pixels, height, width, height, width);
  }

  private static <T> List<List<T>> slices(List<T> images, int height, int width) {
    int size = Math.max(1, SLICE_PIXELS / (height * width));
    List<List<T>> slices = new ArrayList<>();
    for (int from = 0; from < images.size(); from += size) {
      slices.add(images.subList(from, Math.min(images.size(), from + size)));
    }
    return slices;
  }
}
