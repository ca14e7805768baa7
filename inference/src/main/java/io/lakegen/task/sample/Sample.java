package io.lakegen.task.sample;

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

/** The task {@code sample}: images of random latents, by a GAN's generator or a VAE's decoder. */
public record Sample() implements TaskDefinition {
  static final String PACK_TASK = "unconditional-image-generation";
  static final String VAE_TASK = "autoencoding";

  /** All images of a row are in memory at once. */
  private static final int MAX_STEPS = 64;

  static final Argument SEED = Argument.required("seed", Argument.Kind.NUMBER, "seed");

  static final Argument END_SEED =
      Argument.optional(
          "end_seed",
          Argument.Kind.NUMBER,
          "end-seed-column",
          "Column of a second seed: a row's images go from the one to the other.");

  static final Argument LABEL =
      Argument.optional(
          "label",
          Argument.Kind.NUMBER,
          "label-column",
          "Column of the classes, from 0, for models that paint images of a class.");

  static final Option<Integer> INTERPOLATION_STEPS =
      Option.ofInt(
              "interpolation-steps",
              8,
              "With --end-seed-column: images of a row, one output row each.")
          .where("1 to " + MAX_STEPS, n -> n >= 1 && n <= MAX_STEPS);

  static final Option<Double> TRUNCATION_PSI =
      Option.ofDouble(
              "truncation-psi",
              1,
              "Below 1, latents lie nearer to their mean: images are better and less varied.")
          .where("0 to 1", p -> p >= 0 && p <= 1);

  static final Option<Boolean> SCORE =
      Option.flag("score", "Also give the discriminator's score, where the pack has one.");

  private static final Budget.Unit BUDGET = new Budget.Unit("images at once", 32, 256);

  private static final int WINDOW_ROWS = 256;

  private static final int MIN_TASK_ROWS = 64;

  private static final TaskData DATA =
      new TaskData(
          "sample",
          "Paints images of random latents: equal seeds give equal images.",
          List.of(PACK_TASK, VAE_TASK),
          List.of(SEED, LABEL, END_SEED),
          List.of(INTERPOLATION_STEPS, TRUNCATION_PSI, SCORE, ImageFormat.OPTION),
          BUDGET,
          WINDOW_ROWS,
          MIN_TASK_ROWS);

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public int rowsPerInput(OptionValues options) {
    return options.has(END_SEED.column()) ? options.get(INTERPOLATION_STEPS) : 1;
  }

  @Override
  public List<Result> results(OptionValues options) {
    List<Result> results =
        new ArrayList<>(
            List.of(
                new Result("image", Result.Type.IMAGE, "a PNG or JPEG file"),
                new Result("width", Result.Type.INT, "in pixels"),
                new Result("height", Result.Type.INT, "in pixels")));
    if (options.get(SCORE)) {
      results.add(
          new Result(
              "score", Result.Type.FLOAT, "of the discriminator; higher for what looks real"));
    }
    if (options.has(END_SEED.column())) {
      results.add(
          new Result(
              "image_index", Result.Type.INDEX, "with --end-seed-column: one output row an image"));
    }
    return results;
  }

  @Override
  public void check(OptionValues options, Problems problems) {
    if (options.has(INTERPOLATION_STEPS) && !options.has(END_SEED.column())) {
      problems.add(
          INTERPOLATION_STEPS.name(),
          options.get(INTERPOLATION_STEPS),
          "only with end-seed-column");
    }
  }

  private static boolean takesLabels(PackSpec pack) {
    return pack.tasks().contains(PACK_TASK)
        && GeneratorSpec.read(pack.section(PACK_TASK, new Problems())).takesLabels();
  }

  @Override
  public OptionValues needed(PackSpec pack) {
    return takesLabels(pack)
        ? OptionValues.NONE.with(LABEL.column(), LABEL.name())
        : OptionValues.NONE;
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    PackSpec.require("image", pack.image(), problems);
    ImageMaker.check(pack, problems);
    boolean labels = takesLabels(pack);
    if (labels && !options.has(LABEL.column())) {
      problems.add(
          LABEL.column().name(), "missing", "a column; the model paints images of a class");
    }
    if (!labels && options.has(LABEL.column())) {
      problems.add(
          LABEL.column().name(), options.get(LABEL.column()), "none; the model knows no classes");
    }
    if (options.get(SCORE) && !pack.graphs().containsKey("discriminator")) {
      problems.add(SCORE.name(), "a pack without discriminator", "one with it");
    }
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new ImageSampler(model, options, budget);
  }
}
