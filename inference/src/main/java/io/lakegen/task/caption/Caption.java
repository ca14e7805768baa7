package io.lakegen.task.caption;

import io.lakegen.decode.DecodingOptions;
import io.lakegen.image.Thumbnail;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;

/** The task {@code caption}: a caption for every image. */
public record Caption() implements TaskDefinition {
  static final String IMAGE = "image";

  static final Option<String> PROMPT =
      Option.ofText(
          "prompt",
          "",
          "TEXT",
          "Every caption goes on from this text (GIT and BLIP), or answers it (vision-language"
              + " models).");

  static final Option<Integer> THUMBNAIL =
      Option.ofInt(
              "thumbnail",
              null,
              "Add the column thumbnail: a JPEG whose longest side has N pixels.")
          .where("1 to " + Thumbnail.MAX_SIDE + " pixels", n -> n >= 1 && n <= Thumbnail.MAX_SIDE);

  /** The first window is a sixteenth; the bytes of large pictures end a window much earlier. */
  private static final int WINDOW_ROWS = 256;

  /** Reading and seeing a picture costs more than a Spark task. */
  private static final int MIN_TASK_ROWS = 1;

  private static final TaskData DATA =
      new TaskData(
          "caption",
          "Captions images: image files, or a table whose column holds images or the paths of"
              + " image files (relative ones start at the first input's folder).",
          List.of("image-to-text"),
          List.of(Argument.required(IMAGE, Argument.Kind.IMAGE, "image")),
          DecodingOptions.with(PROMPT, THUMBNAIL),
          new Budget.Unit("pictures in a batch, times beams or sequences", 16, 128),
          WINDOW_ROWS,
          MIN_TASK_ROWS);

  @Override
  public int rowsPerInput(OptionValues options) {
    return options.get(DecodingOptions.NUM_RETURN_SEQUENCES);
  }

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public List<Result> results(OptionValues options) {
    List<Result> results =
        new ArrayList<>(
            List.of(
                new Result(
                    "caption",
                    Result.Type.TEXT,
                    "the prompt, if there is one, and what was generated"),
                new Result(
                    "token_count", Result.Type.INT, "generated tokens, the end token included"),
                new Result(
                    "mean_logprob",
                    Result.Type.DOUBLE,
                    "mean log-probability (natural) of the generated tokens under the model itself"),
                new Result(
                    "width",
                    Result.Type.INT,
                    "of the image in its file, in pixels, after its EXIF orientation"),
                new Result("height", Result.Type.INT, "likewise")));
    if (options.get(THUMBNAIL) != null) {
      results.add(new Result("thumbnail", Result.Type.IMAGE, "with --thumbnail: a small JPEG"));
    }
    if (options.get(DecodingOptions.NUM_RETURN_SEQUENCES) > 1) {
      results.add(
          new Result(
              "sequence_index",
              Result.Type.INDEX,
              "with --num-return-sequences: one output row a caption"));
    }
    return results;
  }

  @Override
  public void check(OptionValues options, Problems problems) {
    DecodingOptions.check(options, problems);
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    if (!options.get(PROMPT).isEmpty() && pack.family().equals("vit-gpt2")) {
      problems.add(
          PROMPT.name(),
          options.get(PROMPT),
          "none; a vit-gpt2 model was not trained to go on from a text");
    }
    PackSpec.require("image", pack.image(), problems);
    DecodingOptions.check(options, pack, problems);
  }

  @Override
  public Captioner open(LoadedModel model, OptionValues options, Budget budget) {
    return new Captioner(model, options, budget);
  }
}
