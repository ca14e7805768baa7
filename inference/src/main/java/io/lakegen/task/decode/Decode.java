package io.lakegen.task.decode;

import io.lakegen.diffusion.AutoencoderSpec;
import io.lakegen.image.ImageFormat;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.List;

/** The task {@code decode}: the latents of an autoencoder to images. */
public record Decode() implements TaskDefinition {
  static final Argument LATENTS = Argument.required("latents", Argument.Kind.VECTOR, "latents");

  static final Argument SHAPE =
      Argument.optional(
          "shape",
          Argument.Kind.VECTOR,
          "shape-column",
          "Column of the latents' shapes: channels, height, width. Without it they are those of"
              + " images of the model's own size.");

  private static final Budget.Unit BUDGET =
      new Budget.Unit("pixels of the images that are decoded at once", 512 * 512, 16 * 512 * 512);

  private static final int WINDOW_ROWS = 256;

  private static final int MIN_TASK_ROWS = 64;

  private static final TaskData DATA =
      new TaskData(
          "decode",
          "Decodes latents, such as those of encode, to images.",
          AutoencoderSpec.TASKS,
          List.of(LATENTS, SHAPE),
          List.of(ImageFormat.OPTION),
          BUDGET,
          WINDOW_ROWS,
          MIN_TASK_ROWS);

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public List<Result> results(OptionValues options) {
    return List.of(
        new Result("image", Result.Type.IMAGE, "a PNG or JPEG file"),
        new Result("width", Result.Type.INT, "in pixels"),
        new Result("height", Result.Type.INT, "in pixels"));
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    AutoencoderSpec.of(pack, problems);
    if (!pack.graphs().containsKey("vae_decoder")) {
      problems.add("model", "a pack without vae_decoder", "one with it");
    }
    PackSpec.require("image", pack.image(), problems);
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new LatentDecoder(model, options);
  }
}
