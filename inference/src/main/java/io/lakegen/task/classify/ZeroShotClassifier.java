package io.lakegen.task.classify;

import ai.djl.huggingface.tokenizers.Encoding;
import io.lakegen.encoder.DualSpec;
import io.lakegen.encoder.PictureTask;
import io.lakegen.encoder.TextGraph;
import io.lakegen.encoder.TextGraph.Sequence;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import java.util.List;

/**
 * Any labels, as Hugging Face's {@code ZeroShotImageClassificationPipeline} gives them: a picture's
 * vector is compared with those of texts that name the labels, which are computed once.
 */
final class ZeroShotClassifier extends PictureTask<float[]> {
  private final DualSpec spec;
  private final float[][] labels;
  private final BestLabels best;

  /** A classifier over a loaded pack, which stays the caller's to close. */
  ZeroShotClassifier(LoadedModel model, OptionValues options) {
    this(model, options, model.pack().spec().section(DualSpec.PACK_TASK, DualSpec::read));
  }

  private ZeroShotClassifier(LoadedModel model, OptionValues options, DualSpec spec) {
    super(model, "image", spec.dimension());
    this.spec = spec;
    List<String> names = Classify.labels(options);
    String template = options.get(Classify.LABEL_TEMPLATE);
    this.labels = vectors(model, names.stream().map(l -> template.replace("{}", l)).toList());
    this.best = new BestLabels(names, options.get(Classify.TOP_K));
  }

  private float[][] vectors(LoadedModel model, List<String> texts) {
    TextGraph graph = new TextGraph(model, "text", List.of("input_ids", "attention_mask"));
    return texts.stream()
        .map(
            text -> {
              Encoding tokens = model.tokenizer().encode(text);
              float[] vector =
                  graph.run(List.of(new Sequence(tokens.getIds(), tokens.getTypeIds()))).values();
              if (vector.length != spec.dimension()) {
                throw new IllegalStateException(
                    "vector: " + vector.length + " values (expected: " + spec.dimension() + ")");
              }
              return vector;
            })
        .toArray(float[][]::new);
  }

  @Override
  protected float[] result(List<float[]> outputs) {
    float[] image = outputs.get(0);
    float[] logits = new float[labels.length];
    for (int i = 0; i < logits.length; i++) {
      double product = 0;
      for (int d = 0; d < image.length; d++) {
        product += (double) image[d] * labels[i][d];
      }
      logits[i] = (float) (spec.scale() * product + spec.bias());
    }
    return LabelSpec.scores(LabelSpec.Function.valueOf(spec.function().name()), logits);
  }

  @Override
  public List<List<Object>> values(float[] scores) {
    return List.of(best.values(scores));
  }
}
