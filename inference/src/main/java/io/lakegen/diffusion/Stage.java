package io.lakegen.diffusion;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.diffusion.DiffusionSpec.Condition;
import io.lakegen.model.LoadedModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;

/** A stage of a model, run over a batch at once. Thread-safe. */
final class Stage {
  private final LoadedModel model;
  private final StageSpec spec;
  private final int number;
  private final SchedulerConfig scheduler;
  private final Conditions conditions;

  /**
   * @param number from 0
   */
  Stage(LoadedModel model, StageSpec spec, int number, SchedulerConfig scheduler) {
    this.model = model;
    this.spec = spec;
    this.number = number;
    this.scheduler = scheduler;
    this.conditions = new Conditions(model, spec, number);
  }

  /** What a stage has made. */
  record Made(List<float[]> samples, Shape shape) {}

  /** The steps that it takes for a batch. */
  Schedule schedule(List<ImageRequest> batch) {
    ImageRequest first = batch.get(0);
    return Schedule.of(scheduler, first.ways().get(number).steps(), first.begin());
  }

  /**
   * Samples for a batch.
   *
   * @param texts their conditions; the negative prompts' first where any stage is guided
   * @param before what the stage before has made; null for the first
   * @param done told after each step
   */
  Made run(List<ImageRequest> batch, NDList texts, Made before, Runnable done) {
    Schedule schedule = schedule(batch);
    ImageRequest first = batch.get(0);
    Shape shape = spec.shape(batch.size(), first.height(), first.width());
    try (NDManager manager = model.newManager()) {
      NDList own = ownTexts(manager, batch, texts);
      NDList given =
          before == null
              ? conditions.of(manager, batch, own)
              : conditions.after(
                  manager.create(Conditions.joined(before.samples()), before.shape()), batch, own);
      List<Trajectory> samples = start(schedule, batch, (int) shape.size() / batch.size());
      for (int step = 0; step < schedule.steps().size(); step++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException("rendering was stopped");
        }
        advance(schedule, step, samples, given, batch, shape);
        done.run();
      }
      return new Made(samples.stream().map(Trajectory::latent).toList(), shape);
    }
  }

  /** The prompts alone, where other stages are guided and this one is not. */
  private NDList ownTexts(NDManager manager, List<ImageRequest> batch, NDList texts) {
    if (batch.get(0).ways().get(number).guided()
        || texts.head().getShape().get(0) == batch.size()) {
      return texts;
    }
    NDList prompts = new NDList();
    for (NDArray text : texts) {
      NDArray half = text.get("{}:", batch.size());
      half.attach(manager);
      prompts.add(half);
    }
    return prompts;
  }

  private List<Trajectory> start(Schedule schedule, List<ImageRequest> batch, int count) {
    ImageRequest first = batch.get(0);
    boolean masked = first.pictures().mask() != null;
    // A model that is not told of the mask paints all, and what the mask keeps is laid over it.
    boolean keeps = masked && !spec.conditions().contains(Condition.inpaint);
    boolean fromPicture =
        first.pictures().init() != null && !spec.enlarges() && !(masked && first.begin() == 0);
    List<float[]> encoded = fromPicture || keeps ? conditions.encoded(batch) : null;
    List<Trajectory> samples = new ArrayList<>(batch.size());
    for (int row = 0; row < batch.size(); row++) {
      ImageRequest request = batch.get(row);
      samples.add(
          Trajectory.of(
              schedule,
              request.noise().ofStage(number),
              count,
              fromPicture ? encoded.get(row) : null,
              keeps ? new Trajectory.Kept(encoded.get(row), conditions.smallMask(request)) : null));
    }
    return samples;
  }

  private void advance(
      Schedule schedule,
      int step,
      List<Trajectory> samples,
      NDList given,
      List<ImageRequest> batch,
      Shape shape) {
    Schedule.Step now = schedule.steps().get(step);
    int count = samples.get(0).latent().length;
    float[] input = new float[samples.size() * count];
    for (int row = 0; row < samples.size(); row++) {
      for (int i = 0; i < count; i++) {
        input[row * count + i] = (float) (samples.get(row).latent()[i] * now.inputScale());
      }
    }
    String role = step + 1 < schedule.steps().size() ? spec.name() : spec.last();
    float[] output;
    try (NDManager manager = model.newManager()) {
      float[] timesteps = new float[samples.size()];
      Arrays.fill(timesteps, (float) now.timestep());
      NDList inputs = new NDList(manager.create(input, shape), manager.create(timesteps));
      inputs.addAll(given);
      output = model.graph(role).run(inputs).head().toFloatArray();
    }
    for (int row = 0; row < samples.size(); row++) {
      ImageRequest.Way way = batch.get(row).ways().get(number);
      samples.get(row).advance(step, guide(output, row, samples.size(), count, way));
    }
  }

  /**
   * A row's prediction. What follows it in the model's output, of learned variances, is that of the
   * prompt: it is no direction to be led along.
   */
  private static float[] guide(float[] output, int row, int rows, int count, ImageRequest.Way way) {
    int copies = way.guided() ? 2 : 1;
    int length = output.length / (copies * rows);
    int prompted = ((copies - 1) * rows + row) * length;
    float[] prediction = Arrays.copyOfRange(output, prompted, prompted + length);
    if (way.guided()) {
      for (int i = 0; i < count; i++) {
        float negative = output[row * length + i];
        prediction[i] = negative + (float) (way.guidanceScale() * (prediction[i] - negative));
      }
    }
    return prediction;
  }
}
