package io.lakegen.task.frames;

import io.lakegen.image.ImageFormat;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.List;

/** The task {@code next-frame}: the frames that follow a sequence of frames. */
public record NextFrame() implements TaskDefinition {
  static final String PACK_TASK = "next-frame-prediction";

  /** All images of a row are in memory at once. */
  private static final int MAX_FRAMES = 64;

  static final Argument FRAMES = Argument.required("frames", Argument.Kind.IMAGES, "frames");

  static final Option<Integer> NUM_FRAMES =
      Option.ofInt(
              "num-frames",
              1,
              "Frames to foretell, one output row each; each is seen as the last one for the next.")
          .where("1 to " + MAX_FRAMES, n -> n >= 1 && n <= MAX_FRAMES);

  private static final Budget.Unit BUDGET =
      new Budget.Unit("frames that are seen at once", 64, 512);

  private static final int WINDOW_ROWS = 256;

  private static final int MIN_TASK_ROWS = 16;

  private static final TaskData DATA =
      new TaskData(
          "next-frame",
          "Foretells the frames that follow a sequence of frames.",
          List.of(PACK_TASK),
          List.of(FRAMES),
          List.of(NUM_FRAMES, ImageFormat.OPTION),
          BUDGET,
          WINDOW_ROWS,
          MIN_TASK_ROWS);

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public String function() {
    return "ai_next_frame";
  }

  @Override
  public int rowsPerInput(OptionValues options) {
    return options.get(NUM_FRAMES);
  }

  @Override
  public List<Result> results(OptionValues options) {
    Result image = new Result("image", Result.Type.IMAGE, "a PNG or JPEG file");
    Result width = new Result("width", Result.Type.INT, "in pixels");
    Result height = new Result("height", Result.Type.INT, "in pixels");
    return options.get(NUM_FRAMES) == 1
        ? List.of(image, width, height)
        : List.of(
            image,
            width,
            height,
            new Result(
                "image_index", Result.Type.INDEX, "with --num-frames: one output row a frame"));
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    pack.section(PACK_TASK, problems).keys();
    PackSpec.require("image", pack.image(), problems);
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new FramePredictor(model, options);
  }
}
