package io.lakegen.task.classify;

import io.lakegen.encoder.PictureTask;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import java.util.List;

/** Labels as Hugging Face's {@code ImageClassificationPipeline} gives them. */
final class ImageClassifier extends PictureTask<float[]> {
  private final LabelSpec spec;
  private final BestLabels best;

  /** A classifier over a loaded pack, which stays the caller's to close. */
  ImageClassifier(LoadedModel model, OptionValues options) {
    this(model, options, model.pack().spec().section(Classify.IMAGES, LabelSpec::read));
  }

  private ImageClassifier(LoadedModel model, OptionValues options, LabelSpec spec) {
    super(model, "model", spec.labels().size());
    this.spec = spec;
    this.best = new BestLabels(spec.labels(), options.get(Classify.TOP_K));
  }

  @Override
  protected float[] result(List<float[]> outputs) {
    return spec.scores(outputs.get(0));
  }

  @Override
  public List<List<Object>> values(float[] scores) {
    return List.of(best.values(scores));
  }
}
