package io.lakegen.task.embed;

import io.lakegen.encoder.DualSpec;
import io.lakegen.encoder.EncoderData;
import io.lakegen.encoder.PictureTask;
import io.lakegen.encoder.TextEncoderTask;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Argument.Kind;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The task {@code embed}: a vector for every text or image.
 *
 * @param reads what is embedded; both before the model and the column are known
 */
public record Embed(Kind reads) implements TaskDefinition {
  static final String TEXTS = "feature-extraction";
  static final String IMAGES = "image-feature-extraction";
  static final String TEXT = "text";

  static final Option<Boolean> ATTENTION =
      Option.flag(
          "attention",
          "Add the columns tokens and attention: how much each token of a text looks at each other"
              + " in one layer. The pack must have been exported for it.");

  private static final Map<Kind, TaskData> DATA =
      Map.of(
          Kind.TEXT, data(Kind.TEXT),
          Kind.IMAGE, data(Kind.IMAGE),
          Kind.TEXT_OR_IMAGE, data(Kind.TEXT_OR_IMAGE));

  /** The task before its model is known. */
  public Embed() {
    this(Kind.TEXT_OR_IMAGE);
  }

  private static TaskData data(Kind reads) {
    boolean images = reads == Kind.IMAGE;
    return EncoderData.of(
        reads,
        "embed",
        "Embeds texts or images: a vector for each. A model for both, such as CLIP, embeds image"
            + " files and binary columns as images, and string columns as texts, in one space.",
        List.of(TEXTS, IMAGES, DualSpec.PACK_TASK),
        List.of(Argument.required(images ? PictureTask.IMAGE : TEXT, reads, TEXT)),
        images ? List.of() : List.of(ATTENTION));
  }

  @Override
  public TaskData data() {
    return DATA.get(reads);
  }

  @Override
  public TaskDefinition with(PackSpec pack, boolean images) {
    if (pack.tasks().contains(TEXTS)) {
      return new Embed(Kind.TEXT);
    }
    return new Embed(images || pack.tasks().contains(IMAGES) ? Kind.IMAGE : Kind.TEXT);
  }

  @Override
  public List<Result> results(OptionValues options) {
    List<Result> results = new ArrayList<>();
    results.add(
        new Result("embedding", Result.Type.VECTOR, "pooled and normalised as the pack says"));
    if (reads != Kind.IMAGE) {
      results.addAll(TextEncoderTask.results());
      if (options.get(ATTENTION)) {
        results.add(
            new Result(
                "tokens",
                Result.Type.TEXTS,
                "with --attention: the tokens that the model read, special tokens included"));
        results.add(
            new Result(
                "attention",
                Result.Type.VECTORS,
                "with --attention: for each token its weights for all tokens, which add up to 1;"
                    + " the mean of the layer's heads"));
      }
    }
    return results;
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    boolean attention = false;
    if (pack.tasks().contains(DualSpec.PACK_TASK)) {
      TextEncoderTask.check(pack, "text", problems);
      PictureTask.check(pack, "image", problems);
      DualSpec.read(pack.section(DualSpec.PACK_TASK, problems));
    } else if (pack.tasks().contains(IMAGES)) {
      PictureTask.check(pack, "model", problems);
      ImageEmbedder.readDimension(pack.section(IMAGES, problems));
    } else {
      TextEncoderTask.check(pack, problems);
      attention = EmbeddingSpec.read(pack.section(TEXTS, problems)).attention();
      if (attention) {
        TextEncoderTask.check(pack, "attention", problems);
      }
    }
    if (reads != Kind.IMAGE && options.get(ATTENTION) && !attention) {
      problems.add(
          ATTENTION.name(),
          true,
          "a pack with attention; export the model again, with --attention-layer N");
    }
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    PackSpec pack = model.pack().spec();
    if (pack.tasks().contains(TEXTS)) {
      return new TextEmbedder(model, options.get(ATTENTION));
    }
    return reads == Kind.TEXT ? new DualTextEmbedder(model) : new ImageEmbedder(model);
  }
}
