package io.lakegen.diffusion;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.Steps;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * Renders a batch of images by latent diffusion: the model runs on its device, the schedulers'
 * arithmetic, a few numbers a pixel, in Java, so that it is the same everywhere. Thread-safe.
 */
public final class DiffusionPipeline {
  /**
   * Pixels that are decoded or encoded at once: the autoencoder needs far more memory a pixel, and
   * is fastest on a CPU while that fits in its caches.
   */
  private static final int SLICE_PIXELS = 2 * 256 * 256;

  private final LoadedModel model;
  private final SchedulerConfig scheduler;
  private final DiffusionSpec.Latents latents;

  /** A pipeline over a loaded model, which stays the caller's to close. */
  public DiffusionPipeline(
      LoadedModel model, SchedulerConfig scheduler, DiffusionSpec.Latents latents) {
    this.model = model;
    this.scheduler = scheduler;
    this.latents = latents;
  }

  /** An image on its way. */
  private static final class Trajectory {
    final ImageRequest request;
    final float[] latent;
    final float[] x0;

    Trajectory(ImageRequest request, float[] latent) {
      this.request = request;
      this.latent = latent;
      this.x0 = new float[latent.length];
    }
  }

  /**
   * Renders images.
   *
   * @param batch one or more that may share a batch
   * @return an image for each, in order
   * @throws ArithmeticException if the model answers with something else than numbers
   */
  public List<RgbImage> render(List<ImageRequest> batch) {
    ImageRequest first = batch.get(0);
    Schedule schedule = Schedule.of(scheduler, first.steps(), first.begin());
    try (NDManager manager = model.newManager()) {
      NDArray condition = condition(manager, batch);
      List<Trajectory> images = start(schedule, batch);
      for (int step = 0; step < schedule.steps().size(); step++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException("rendering was stopped");
        }
        advance(schedule, step, images, condition);
        // Decoding is worth about a step.
        Steps.done((step + 1.0) / (schedule.steps().size() + 1));
      }
      return decode(images);
    }
  }

  /**
   * {@code [rows, tokens, width]}: with guidance the negative prompts' rows, then the prompts'. A
   * text of several rows, as a negative prompt usually is, is encoded once.
   */
  private NDArray condition(NDManager manager, List<ImageRequest> batch) {
    List<LongBuffer> ofRows = new ArrayList<>();
    if (batch.get(0).guided()) {
      batch.forEach(r -> ofRows.add(LongBuffer.wrap(r.negativePrompt())));
    }
    batch.forEach(r -> ofRows.add(LongBuffer.wrap(r.prompt())));
    List<LongBuffer> texts = ofRows.stream().distinct().toList();
    int[] rows = ofRows.stream().mapToInt(texts::indexOf).toArray();
    try (NDManager scope = manager.newSubManager()) {
      NDArray ids =
          scope.create(
              texts.stream().flatMapToLong(t -> Arrays.stream(t.array())).toArray(),
              new Shape(texts.size(), texts.get(0).capacity()));
      NDArray encoded = model.graph("text_encoder").run(ids).head();
      NDArray condition = encoded.get(scope.create(rows));
      condition.attach(manager);
      return condition;
    }
  }

  private List<Trajectory> start(Schedule schedule, List<ImageRequest> batch) {
    int count = count(batch.get(0));
    List<float[]> encoded = batch.get(0).initImage() == null ? null : encode(batch);
    List<Trajectory> images = new ArrayList<>(batch.size());
    for (int row = 0; row < batch.size(); row++) {
      float[] latent = batch.get(row).noise().draw(NoiseSource.START, count);
      for (int i = 0; i < count; i++) {
        latent[i] =
            (float)
                (encoded == null
                    ? schedule.initNoiseSigma() * latent[i]
                    : schedule.imageScale() * encoded.get(row)[i]
                        + schedule.noiseScale() * latent[i]);
      }
      images.add(new Trajectory(batch.get(row), latent));
    }
    return images;
  }

  /** Latents of the images that the requests start from. */
  private List<float[]> encode(List<ImageRequest> batch) {
    int pixels = batch.get(0).initImage().length;
    int count = count(batch.get(0));
    List<float[]> encoded = new ArrayList<>(batch.size());
    for (List<ImageRequest> slice : slices(batch, batch.get(0))) {
      float[] values = new float[slice.size() * pixels];
      for (int row = 0; row < slice.size(); row++) {
        System.arraycopy(slice.get(row).initImage(), 0, values, row * pixels, pixels);
      }
      try (NDManager manager = model.newManager()) {
        Shape shape = new Shape(slice.size(), 3, batch.get(0).height(), batch.get(0).width());
        NDList distribution = model.graph("vae_encoder").run(manager.create(values, shape));
        float[] mean = distribution.get(0).toFloatArray();
        float[] deviation = distribution.get(1).toFloatArray();
        for (int row = 0; row < slice.size(); row++) {
          float[] latent = slice.get(row).noise().draw(NoiseSource.ENCODER, count);
          for (int i = 0; i < count; i++) {
            int at = row * count + i;
            latent[i] = (float) ((mean[at] + deviation[at] * latent[i]) * latents.scalingFactor());
          }
          encoded.add(latent);
        }
      }
    }
    return encoded;
  }

  private void advance(Schedule schedule, int step, List<Trajectory> images, NDArray condition) {
    ImageRequest first = images.get(0).request;
    Schedule.Step now = schedule.steps().get(step);
    int count = count(first);
    float[] input = new float[images.size() * count];
    for (int row = 0; row < images.size(); row++) {
      for (int i = 0; i < count; i++) {
        input[row * count + i] = (float) (images.get(row).latent[i] * now.inputScale());
      }
    }
    float[] output;
    try (NDManager manager = model.newManager()) {
      NDArray rows = manager.create(input, shape(images.size(), first));
      float[] timesteps = new float[images.size()];
      Arrays.fill(timesteps, (float) now.timestep());
      output =
          model.graph("unet").run(rows, manager.create(timesteps), condition).head().toFloatArray();
    }
    for (int row = 0; row < images.size(); row++) {
      Trajectory image = images.get(row);
      float[] prediction = guide(output, row, images.size(), count, image.request);
      float[] noise =
          now.next().noisy()
              ? image.request.noise().draw(NoiseSource.FIRST_STEP + step, count)
              : null;
      schedule.advance(step, image.latent, prediction, image.x0, noise);
    }
  }

  private static float[] guide(float[] output, int row, int rows, int count, ImageRequest request) {
    float[] prediction = Arrays.copyOfRange(output, row * count, (row + 1) * count);
    if (request.guided()) {
      int prompted = (rows + row) * count;
      for (int i = 0; i < count; i++) {
        prediction[i] += (float) (request.guidanceScale() * (output[prompted + i] - prediction[i]));
      }
    }
    return prediction;
  }

  private List<RgbImage> decode(List<Trajectory> images) {
    ImageRequest first = images.get(0).request;
    List<RgbImage> decoded = new ArrayList<>(images.size());
    for (List<Trajectory> slice : slices(images, first)) {
      int count = count(first);
      float[] values = new float[slice.size() * count];
      for (int row = 0; row < slice.size(); row++) {
        for (int i = 0; i < count; i++) {
          values[row * count + i] = (float) (slice.get(row).latent[i] / latents.scalingFactor());
        }
      }
      try (NDManager manager = model.newManager()) {
        NDArray rows = manager.create(values, shape(slice.size(), first));
        float[] pixels = model.graph("vae_decoder").run(rows).head().toFloatArray();
        for (int row = 0; row < slice.size(); row++) {
          decoded.add(rgb(pixels, row, first.height(), first.width()));
        }
      }
    }
    return decoded;
  }

  /** {@code [3, height, width]} in -1..1, number {@code row} of many, as 8-bit pixels. */
  private static RgbImage rgb(float[] values, int row, int height, int width) {
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

  private static <T> List<List<T>> slices(List<T> images, ImageRequest first) {
    int size = Math.max(1, SLICE_PIXELS / (first.height() * first.width()));
    List<List<T>> slices = new ArrayList<>();
    for (int from = 0; from < images.size(); from += size) {
      slices.add(images.subList(from, Math.min(images.size(), from + size)));
    }
    return slices;
  }

  private int count(ImageRequest request) {
    return (int) shape(1, request).size();
  }

  private Shape shape(int rows, ImageRequest request) {
    return new Shape(
        rows,
        latents.channels(),
        request.height() / latents.scale(),
        request.width() / latents.scale());
  }
}
