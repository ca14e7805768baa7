package io.lakegen.diffusion;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.diffusion.DiffusionSpec.Condition;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.problem.Problems;
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
  private final LoadedModel model;
  private final SchedulerConfig scheduler;
  private final DiffusionSpec spec;
  private final Autoencoder autoencoder;

  /** A pipeline over a loaded model, which stays the caller's to close. */
  public DiffusionPipeline(LoadedModel model, SchedulerConfig scheduler, DiffusionSpec spec) {
    this.model = model;
    this.scheduler = scheduler;
    this.spec = spec;
    this.autoencoder = new Autoencoder(model, spec.latents());
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
      NDList conditions = texts(manager, batch);
      for (Condition condition : spec.conditions()) {
        conditions.addAll(condition(manager, condition, batch));
      }
      List<Trajectory> images = start(schedule, batch);
      for (int step = 0; step < schedule.steps().size(); step++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException("rendering was stopped");
        }
        advance(schedule, step, images, conditions);
        // Decoding is worth about a step.
        Steps.done((step + 1.0) / (schedule.steps().size() + 1));
      }
      return autoencoder.decode(
          images.stream().map(Trajectory::latent).toList(), first.height(), first.width());
    }
  }

  /**
   * The conditions of the texts, each {@code [rows, ...]}: with guidance the negative prompts'
   * rows, then the prompts'. A text of several rows, as a negative prompt usually is, is encoded
   * once.
   */
  private NDList texts(NDManager manager, List<ImageRequest> batch) {
    List<LongBuffer> ofRows = new ArrayList<>();
    if (batch.get(0).guided()) {
      batch.forEach(r -> ofRows.add(LongBuffer.wrap(r.negativePrompt())));
    }
    batch.forEach(r -> ofRows.add(LongBuffer.wrap(r.prompt())));
    List<LongBuffer> texts = ofRows.stream().distinct().toList();
    int[] rows = ofRows.stream().mapToInt(texts::indexOf).toArray();
    NDList conditions = new NDList();
    try (NDManager scope = manager.newSubManager()) {
      NDArray ids =
          scope.create(
              texts.stream().flatMapToLong(t -> Arrays.stream(t.array())).toArray(),
              new Shape(texts.size(), texts.get(0).capacity()));
      for (NDArray encoded : model.graph("text_encoder").run(ids)) {
        NDArray condition = encoded.get(scope.create(rows));
        condition.attach(manager);
        conditions.add(condition);
      }
    }
    return conditions;
  }

  /** What the denoiser is given besides, a row an image. */
  private NDList condition(NDManager manager, Condition condition, List<ImageRequest> batch) {
    return switch (condition) {
      case inpaint -> new NDList(inpaint(manager, batch));
      case control -> control(manager, batch);
      case lowResolution -> lowResolution(manager, batch);
    };
  }

  private static NDList control(NDManager manager, List<ImageRequest> batch) {
    float[] scales = new float[batch.size()];
    Arrays.fill(scales, (float) batch.get(0).pictures().controlScale());
    Shape shape = new Shape(batch.size(), 3, batch.get(0).height(), batch.get(0).width());
    return new NDList(
        manager.create(joined(batch.stream().map(r -> r.pictures().control()).toList()), shape),
        manager.create(scales));
  }

  private NDList lowResolution(NDManager manager, List<ImageRequest> batch) {
    ImageRequest.Pictures first = batch.get(0).pictures();
    double kept =
        SchedulerConfig.of(
                SchedulerName.DDIMScheduler, spec.lowResolutionScheduler(), false, new Problems())
            .alphaCumprod(first.noiseLevel());
    List<float[]> noisy = noise(batch, NoiseSource.LOW_RESOLUTION, first.init().length);
    for (int row = 0; row < batch.size(); row++) {
      float[] picture = batch.get(row).pictures().init();
      float[] values = noisy.get(row);
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (Math.sqrt(kept) * picture[i] + Math.sqrt(1 - kept) * values[i]);
      }
    }
    float[] levels = new float[batch.size()];
    Arrays.fill(levels, first.noiseLevel());
    Shape latents = autoencoder.shape(batch.size(), batch.get(0).height(), batch.get(0).width());
    return new NDList(
        manager.create(joined(noisy), new Shape(batch.size(), 3, latents.get(2), latents.get(3))),
        manager.create(levels));
  }

  private static float[] joined(List<float[]> rows) {
    int length = rows.get(0).length;
    float[] all = new float[rows.size() * length];
    for (int row = 0; row < rows.size(); row++) {
      System.arraycopy(rows.get(row), 0, all, row * length, length);
    }
    return all;
  }

  /** The masks, and the latents of the pictures without what they mask. */
  private NDArray inpaint(NDManager manager, List<ImageRequest> batch) {
    int height = batch.get(0).height();
    int width = batch.get(0).width();
    List<float[]> pictures = new ArrayList<>(batch.size());
    for (ImageRequest request : batch) {
      float[] kept = request.pictures().init().clone();
      float[] mask = request.pictures().mask();
      for (int i = 0; i < kept.length; i++) {
        kept[i] *= 1 - mask[i % mask.length];
      }
      pictures.add(kept);
    }
    int count = autoencoder.count(height, width);
    List<float[]> encoded =
        autoencoder.encode(pictures, noise(batch, NoiseSource.MASKED, count), height, width);
    int plane = count / spec.latents().channels();
    float[] values = new float[batch.size() * (plane + count)];
    for (int row = 0; row < batch.size(); row++) {
      int at = row * (plane + count);
      System.arraycopy(smallMask(batch.get(row)), 0, values, at, plane);
      System.arraycopy(encoded.get(row), 0, values, at + plane, count);
    }
    Shape shape = autoencoder.shape(batch.size(), height, width);
    return manager.create(
        values, new Shape(shape.get(0), 1 + shape.get(1), shape.get(2), shape.get(3)));
  }

  /** A mask in the latents' size: of every square, its first pixel. */
  private float[] smallMask(ImageRequest request) {
    int scale = spec.latents().scale();
    int columns = request.width() / scale;
    float[] small = new float[request.height() / scale * columns];
    for (int i = 0; i < small.length; i++) {
      small[i] =
          request.pictures().mask()[i / columns * scale * request.width() + i % columns * scale];
    }
    return small;
  }

  private static List<float[]> noise(List<ImageRequest> batch, int draw, int count) {
    return batch.stream().map(r -> r.noise().draw(draw, count)).toList();
  }

  private List<Trajectory> start(Schedule schedule, List<ImageRequest> batch) {
    ImageRequest first = batch.get(0);
    int count = autoencoder.count(first.height(), first.width());
    boolean masked = first.pictures().mask() != null;
    // A model that is not told of the mask paints all, and what the mask keeps is laid over it.
    boolean keeps = masked && !spec.conditions().contains(Condition.inpaint);
    boolean fromPicture =
        first.pictures().init() != null && !spec.enlarges() && !(masked && first.begin() == 0);
    List<float[]> encoded = null;
    if (fromPicture || keeps) {
      encoded =
          autoencoder.encode(
              batch.stream().map(r -> r.pictures().init()).toList(),
              noise(batch, NoiseSource.ENCODER, count),
              first.height(),
              first.width());
    }
    List<Trajectory> images = new ArrayList<>(batch.size());
    for (int row = 0; row < batch.size(); row++) {
      ImageRequest request = batch.get(row);
      images.add(
          Trajectory.of(
              schedule,
              request,
              count,
              fromPicture ? encoded.get(row) : null,
              keeps ? new Trajectory.Kept(encoded.get(row), smallMask(request)) : null));
    }
    return images;
  }

  private void advance(Schedule schedule, int step, List<Trajectory> images, NDList conditions) {
    ImageRequest first = images.get(0).request();
    Schedule.Step now = schedule.steps().get(step);
    int count = images.get(0).latent().length;
    float[] input = new float[images.size() * count];
    for (int row = 0; row < images.size(); row++) {
      for (int i = 0; i < count; i++) {
        input[row * count + i] = (float) (images.get(row).latent()[i] * now.inputScale());
      }
    }
    float[] output;
    try (NDManager manager = model.newManager()) {
      float[] timesteps = new float[images.size()];
      Arrays.fill(timesteps, (float) now.timestep());
      NDList inputs =
          new NDList(
              manager.create(
                  input, autoencoder.shape(images.size(), first.height(), first.width())),
              manager.create(timesteps));
      inputs.addAll(conditions);
      output = model.graph("unet").run(inputs).head().toFloatArray();
    }
    for (int row = 0; row < images.size(); row++) {
      Trajectory image = images.get(row);
      image.advance(step, guide(output, row, images.size(), count, image.request()));
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
}
