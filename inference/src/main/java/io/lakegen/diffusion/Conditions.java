package io.lakegen.diffusion;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.diffusion.DiffusionSpec.Condition;
import io.lakegen.model.LoadedModel;
import io.lakegen.problem.Problems;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What the denoiser of a stage is given besides latents and time. Thread-safe. */
final class Conditions {
  private final LoadedModel model;
  private final StageSpec stage;
  private final int number;
  private final Autoencoder autoencoder;

  /**
   * @param number of the stage, from 0
   */
  Conditions(LoadedModel model, StageSpec stage, int number) {
    this.model = model;
    this.stage = stage;
    this.number = number;
    this.autoencoder = new Autoencoder(model, stage.latents());
  }

  /** Of a stage that no other goes before: the texts, and what comes with the rows. */
  NDList of(NDManager manager, List<ImageRequest> batch, NDList texts) {
    NDList conditions = new NDList(texts);
    for (Condition condition : stage.conditions()) {
      conditions.addAll(
          switch (condition) {
            case inpaint -> new NDList(inpaint(manager, batch));
            case control -> control(manager, batch);
            case lowResolution ->
                noisy(
                    manager,
                    batch,
                    batch.stream().map(r -> r.pictures().init()).toList(),
                    stage.shape(batch.size(), batch.get(0).height(), batch.get(0).width()));
            case lowResolutionLatents -> new NDList(small(manager, batch));
          });
    }
    return conditions;
  }

  /**
   * Of a stage that follows another.
   *
   * @param before what that one has made, {@code [rows, ...]}
   */
  NDList after(NDArray before, List<ImageRequest> batch, NDList texts) {
    NDList inputs = new NDList(before);
    inputs.addAll(texts);
    NDList conditions = model.graph(stage.conditionsGraph()).run(inputs);
    if (stage.conditions().contains(Condition.lowResolution)) {
      NDArray picture = conditions.remove(conditions.size() - 1);
      List<float[]> pictures = rows(picture.toFloatArray(), batch.size());
      conditions.addAll(noisy(before.getManager(), batch, pictures, picture.getShape()));
    }
    return conditions;
  }

  private static NDList control(NDManager manager, List<ImageRequest> batch) {
    float[] scales = new float[batch.size()];
    Arrays.fill(scales, (float) batch.get(0).pictures().controlScale());
    Shape shape = new Shape(batch.size(), 3, batch.get(0).height(), batch.get(0).width());
    return new NDList(
        manager.create(joined(batch.stream().map(r -> r.pictures().control()).toList()), shape),
        manager.create(scales));
  }

  /** Pictures to enlarge with some noise, and its level. */
  private NDList noisy(
      NDManager manager, List<ImageRequest> batch, List<float[]> pictures, Shape latents) {
    int level = batch.get(0).pictures().noiseLevel();
    double kept =
        SchedulerConfig.of(
                SchedulerName.DDIMScheduler, stage.lowResolutionScheduler(), false, new Problems())
            .alphaCumprod(level);
    List<float[]> noisy = noise(batch, NoiseSource.LOW_RESOLUTION, pictures.get(0).length);
    for (int row = 0; row < batch.size(); row++) {
      float[] values = noisy.get(row);
      for (int i = 0; i < values.length; i++) {
        values[i] =
            (float) (Math.sqrt(kept) * pictures.get(row)[i] + Math.sqrt(1 - kept) * values[i]);
      }
    }
    float[] levels = new float[batch.size()];
    Arrays.fill(levels, level);
    Shape shape = new Shape(batch.size(), 3, latents.get(2), latents.get(3));
    return new NDList(manager.create(joined(noisy), shape), manager.create(levels));
  }

  /** The latents of pictures to enlarge. */
  private NDArray small(NDManager manager, List<ImageRequest> batch) {
    int height = batch.get(0).height() / DiffusionSpec.LATENTS_FACTOR;
    int width = batch.get(0).width() / DiffusionSpec.LATENTS_FACTOR;
    return manager.create(
        joined(encoded(batch, height, width)), stage.shape(batch.size(), height, width));
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
    int plane = count / stage.latents().channels();
    float[] values = new float[batch.size() * (plane + count)];
    for (int row = 0; row < batch.size(); row++) {
      int at = row * (plane + count);
      System.arraycopy(smallMask(batch.get(row)), 0, values, at, plane);
      System.arraycopy(encoded.get(row), 0, values, at + plane, count);
    }
    Shape shape = stage.shape(batch.size(), height, width);
    return manager.create(
        values, new Shape(shape.get(0), 1 + shape.get(1), shape.get(2), shape.get(3)));
  }

  /** A mask in the latents' size: of every square, its first pixel. */
  float[] smallMask(ImageRequest request) {
    int scale = stage.latents().scale();
    int columns = request.width() / scale;
    float[] small = new float[request.height() / scale * columns];
    for (int i = 0; i < small.length; i++) {
      small[i] =
          request.pictures().mask()[i / columns * scale * request.width() + i % columns * scale];
    }
    return small;
  }

  /** The latents of the pictures that the rows start from. */
  List<float[]> encoded(List<ImageRequest> batch) {
    return encoded(batch, batch.get(0).height(), batch.get(0).width());
  }

  private List<float[]> encoded(List<ImageRequest> batch, int height, int width) {
    return autoencoder.encode(
        batch.stream().map(r -> r.pictures().init()).toList(),
        noise(batch, NoiseSource.ENCODER, autoencoder.count(height, width)),
        height,
        width);
  }

  private List<float[]> noise(List<ImageRequest> batch, int draw, int count) {
    return batch.stream().map(r -> r.noise().ofStage(number).draw(draw, count)).toList();
  }

  /** Rows of one length, one after the other. */
  static float[] joined(List<float[]> rows) {
    int length = rows.get(0).length;
    float[] all = new float[rows.size() * length];
    for (int row = 0; row < rows.size(); row++) {
      System.arraycopy(rows.get(row), 0, all, row * length, length);
    }
    return all;
  }

  private static List<float[]> rows(float[] all, int rows) {
    int length = all.length / rows;
    List<float[]> split = new ArrayList<>(rows);
    for (int row = 0; row < rows; row++) {
      split.add(Arrays.copyOfRange(all, row * length, (row + 1) * length));
    }
    return split;
  }
}
