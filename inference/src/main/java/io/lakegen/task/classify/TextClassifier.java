package io.lakegen.task.classify;

import io.lakegen.encoder.TextEncoderTask;
import io.lakegen.encoder.TextEncoderTask.Tokens;
import io.lakegen.encoder.TextGraph.Output;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Labels as Hugging Face's {@code TextClassificationPipeline} gives them. */
final class TextClassifier extends TextEncoderTask<TextClassifier.Scores> {
  private final LabelSpec spec;
  private final BestLabels best;

  /**
   * What the model says of a text.
   *
   * @param scores in the order of the pack's labels
   */
  record Scores(float[] scores, int tokenCount, boolean truncated) {}

  /** A classifier over a loaded pack, which stays the caller's to close. */
  TextClassifier(LoadedModel model, OptionValues options) {
    super(model, List.of("input_ids", "attention_mask", "token_type_ids"));
    this.spec = model.pack().spec().section(Classify.TEXTS, LabelSpec::read);
    this.best = new BestLabels(spec.labels(), options.get(Classify.TOP_K));
  }

  @Override
  public Tokens prepare(RowInput row) throws RowException {
    String pair = Classify.PAIR.name();
    return tokenize(row.text(Classify.TEXT), row.has(pair) ? row.text(pair) : null);
  }

  @Override
  public List<Scores> infer(List<Tokens> batch) {
    Output output = run(batch);
    int labels = spec.labels().size();
    if (output.values().length != batch.size() * labels) {
      throw new IllegalStateException(
          "logits: "
              + output.values().length
              + " values (expected: "
              + batch.size() * labels
              + ", one for each row and label)");
    }
    List<Scores> results = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      Tokens row = batch.get(i);
      float[] logits = Arrays.copyOfRange(output.values(), i * labels, (i + 1) * labels);
      results.add(new Scores(spec.scores(logits), row.ids().length, row.truncated()));
    }
    return results;
  }

  @Override
  public List<List<Object>> values(Scores result) {
    List<Object> values = best.values(result.scores());
    values.add(result.tokenCount());
    values.add(result.truncated());
    return List.of(values);
  }
}
