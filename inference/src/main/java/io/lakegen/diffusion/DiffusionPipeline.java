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

/**
 * Renders a batch of images by diffusion, one stage of the model after the other over the whole
 * batch: the model runs on its device, the schedulers' arithmetic, a few numbers a pixel, in Java,
 * so that it is the same everywhere. Thread-safe.
 */
public final class DiffusionPipeline {
  private final LoadedModel model;
  private final List<Stage> stages = new ArrayList<>();
  private final Autoencoder autoencoder;

  /**
   * A pipeline over a loaded model, which stays the caller's to close.
   *
   * @param schedulers one for each stage
   */
  public DiffusionPipeline(
      LoadedModel model, List<SchedulerConfig> schedulers, DiffusionSpec spec) {
    this.model = model;
    for (int i = 0; i < spec.stages().size(); i++) {
      stages.add(new Stage(model, spec.stages().get(i), i, schedulers.get(i)));
    }
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
    // Decoding is worth about a step.
    Progress progress =
        new Progress(1 + stages.stream().mapToInt(s -> s.schedule(batch).steps().size()).sum());
    Stage.Made made = null;
    try (NDManager manager = model.newManager()) {
      NDList texts = texts(manager, batch);
      for (Stage stage : stages) {
        made = stage.run(batch, texts, made, progress::step);
      }
    }
    int height = batch.get(0).height();
    int width = batch.get(0).width();
    return model.hasGraph("vae_decoder")
        ? autoencoder.decode(made.samples(), height, width)
        : made.samples().stream().map(s -> Autoencoder.rgb(s, 0, height, width)).toList();
  }

  /** Steps of all stages. */
  private static final class Progress {
    private final double all;
    private int done;

    Progress(int all) {
      this.all = all;
    }

    void step() {
      done++;
      Steps.done(done / all);
    }
  }

  /**
   * The conditions of the texts, each {@code [rows, ...]}: with guidance the negative prompts'
   * rows, then the prompts'. A text of several rows, as a negative prompt usually is, is encoded
   * once.
   */
  private NDList texts(NDManager manager, List<ImageRequest> batch) {
    List<LongBuffer> ofRows = new ArrayList<>();
    if (batch.get(0).ways().stream().anyMatch(ImageRequest.Way::guided)) {
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
}
