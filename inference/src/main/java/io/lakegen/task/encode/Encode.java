package io.lakegen.task.encode;

import io.lakegen.diffusion.AutoencoderSpec;
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
import java.util.ArrayList;
import java.util.List;

/** The task {@code encode}: images to the latents of an autoencoder. */
public record Encode() implements TaskDefinition {
  static final Argument IMAGE = Argument.required("image", Argument.Kind.IMAGE, "image");

  static final Argument OTHER =
      Argument.optional(
          "other",
          Argument.Kind.IMAGE,
          "interpolate-with",
          "Column of a second image (image files or their paths): the latents lie between those of"
              + " both, and the image that they decode to is another result.");

  static final Option<Double> INTERPOLATION_WEIGHT =
      Option.ofDouble(
              "interpolation-weight",
              0.5,
              "With --interpolate-with: 0 for the first image, 1 for the second.")
          .where("0 to 1", w -> w >= 0 && w <= 1);

  static final Option<Boolean> RECONSTRUCT =
      Option.flag(
          "reconstruct",
          "Also decode the latents: the image, and how near it is to the one that was encoded.");

  static final Option<Boolean> SAMPLE =
      Option.flag(
          "sample",
          "Draw the latents from the encoder's distribution, by the row's seed, instead of taking"
              + " its mean.");

  static final Option<Integer> HEIGHT =
      Option.ofInt("height", null, "Height in pixels that images are scaled to.")
          .defaultsTo("the model's own");

  static final Option<Integer> WIDTH =
      Option.ofInt("width", null, "Width in pixels that images are scaled to.")
          .defaultsTo("the model's own");

  private static final Budget.Unit BUDGET =
      new Budget.Unit("pixels of the images that are encoded at once", 512 * 512, 16 * 512 * 512);

  private static final int WINDOW_ROWS = 256;

  private static final int MIN_TASK_ROWS = 64;

  private static final TaskData DATA =
      new TaskData(
          "encode",
          "Encodes images as the latents of an autoencoder, scaled as diffusion models see them.",
          AutoencoderSpec.TASKS,
          List.of(IMAGE, OTHER),
          List.of(HEIGHT, WIDTH, SAMPLE, RECONSTRUCT, INTERPOLATION_WEIGHT, ImageFormat.OPTION),
          BUDGET,
          WINDOW_ROWS,
          MIN_TASK_ROWS);

  @Override
  public TaskData data() {
    return DATA;
  }

  /** Whether latents are decoded again. */
  static boolean decodes(OptionValues options) {
    return options.get(RECONSTRUCT) || options.has(OTHER.column());
  }

  @Override
  public List<Result> results(OptionValues options) {
    List<Result> results = new ArrayList<>();
    results.add(new Result("latents", Result.Type.VECTOR, "of one channel after the other"));
    results.add(new Result("latent_shape", Result.Type.INTS, "channels, height, width"));
    if (decodes(options)) {
      results.add(new Result("image", Result.Type.IMAGE, "what the latents decode to"));
    }
    if (options.get(RECONSTRUCT)) {
      results.add(
          new Result(
              "psnr", Result.Type.DOUBLE, "of the image to the scaled original, in decibels"));
      results.add(new Result("ssim", Result.Type.DOUBLE, "likewise, at most 1"));
    }
    return results;
  }

  @Override
  public void check(OptionValues options, Problems problems) {
    boolean interpolates = options.has(OTHER.column());
    if (options.has(INTERPOLATION_WEIGHT) && !interpolates) {
      problems.add(
          INTERPOLATION_WEIGHT.name(),
          options.get(INTERPOLATION_WEIGHT),
          "only with interpolate-with");
    }
    if (options.get(RECONSTRUCT) && interpolates) {
      problems.add(RECONSTRUCT.name(), "with interpolate-with", "one of them; both give an image");
    }
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    AutoencoderSpec spec = AutoencoderSpec.of(pack, problems);
    for (String role :
        decodes(options) ? List.of("vae_encoder", "vae_decoder") : List.of("vae_encoder")) {
      if (!pack.graphs().containsKey(role)) {
        problems.add("model", "a pack without " + role, "one with it");
      }
    }
    PackSpec.require("image", pack.image(), problems);
    if (pack.image().isPresent()) {
      spec.checkSize(pack, height(options, pack), width(options, pack), problems);
    }
  }

  static int height(OptionValues options, PackSpec pack) {
    Integer height = options.get(HEIGHT);
    return height == null ? pack.image().orElseThrow().height() : height;
  }

  static int width(OptionValues options, PackSpec pack) {
    Integer width = options.get(WIDTH);
    return width == null ? pack.image().orElseThrow().width() : width;
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new ImageEncoder(model, options);
  }
}
