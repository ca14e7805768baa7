package io.lakegen.task.render;

import io.lakegen.diffusion.DiffusionSpec;
import io.lakegen.diffusion.DiffusionSpec.Condition;
import io.lakegen.diffusion.SchedulerConfig;
import io.lakegen.diffusion.SchedulerName;
import io.lakegen.image.ImageFormat;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.Input;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The task {@code render}: images for every prompt. */
public record Render() implements TaskDefinition {
  static final String PACK_TASK = "text-to-image";
  static final String PROMPT = "prompt";

  /** All images of a row are in memory at once. */
  private static final int MAX_IMAGES = 64;

  /** Most noise that diffusers adds to a picture to enlarge. */
  private static final int MAX_NOISE_LEVEL = 350;

  static final Argument IMAGE =
      Argument.optional(
          "image",
          Argument.Kind.IMAGE,
          "image-column",
          "Start from the images of this column: image files (binary) or their paths (relative ones"
              + " start at the first input's folder). They are scaled to the size that is"
              + " rendered.");

  static final Argument MASK =
      Argument.optional(
          "mask",
          Argument.Kind.IMAGE,
          "mask-column",
          "Paint anew only what is white in the masks of this column (image files or their paths);"
              + " needs --image-column. Models for inpainting need it, and others can do it too.");

  static final Argument CONTROL =
      Argument.optional(
          "control",
          Argument.Kind.IMAGE,
          "control-column",
          "Column of the pictures (image files or their paths) that the images of a ControlNet"
              + " follow: edges, depths, poses, as the model was trained with.");

  static final Option<Integer> NUM_INFERENCE_STEPS =
      Option.ofInt("num-inference-steps", null, "Steps from noise to image.")
          .defaultsTo("the model's own, mostly 50");

  static final Option<Double> GUIDANCE_SCALE =
      Option.ofDouble(
              "guidance-scale",
              "Weight of the prompt; 1 or less renders without guidance, in half the time.")
          .defaultsTo("the model's own, mostly 7.5");

  static final Option<String> NEGATIVE_PROMPT =
      Option.ofText("negative-prompt", "", "TEXT", "What guidance leads away from.");

  static final Option<Integer> HEIGHT =
      Option.ofInt("height", null, "Height of the images in pixels.").defaultsTo("the model's own");

  static final Option<Integer> WIDTH =
      Option.ofInt("width", null, "Width of the images in pixels.").defaultsTo("the model's own");

  static final Option<SchedulerName> SCHEDULER =
      Option.ofEnum(
              "scheduler",
              SchedulerName.class,
              null,
              "NAME",
              "Scheduler; betas, prediction type, spacing and offset come from the model.")
          .defaultsTo("the model's own");

  static final Option<Boolean> USE_KARRAS_SIGMAS =
      Option.flag(
          "use-karras-sigmas",
          "Space the steps by Karras et al. (" + SchedulerName.withKarrasSigmas() + ").");

  static final Option<Integer> NUM_IMAGES_PER_PROMPT =
      Option.ofInt(
              "num-images-per-prompt",
              1,
              "Images for each prompt, each with noise of its own and one output row.")
          .where("1 to " + MAX_IMAGES, n -> n >= 1 && n <= MAX_IMAGES);

  static final Option<Double> STRENGTH =
      Option.ofDouble(
              "strength",
              "With --image-column: share of the steps that is made; near 0 keeps the image, 1"
                  + " forgets it.")
          .defaultsTo("0.8; 1 with --mask-column")
          .where("above 0, at most 1", s -> s > 0 && s <= 1);

  static final Option<Double> CONTROLNET_CONDITIONING_SCALE =
      Option.ofDouble(
          "controlnet-conditioning-scale",
          1,
          "With --control-column: how closely images follow the pictures; 0 for not at all.");

  static final Option<Integer> NOISE_LEVEL =
      Option.ofInt(
              "noise-level",
              20,
              "Of models that enlarge: noise that is added to the pictures of --image-column, or to"
                  + " what the model has painted small; more lets it invent more.")
          .defaultsTo("20; models that paint small and enlarge have their own")
          .where("0 to " + MAX_NOISE_LEVEL, n -> n >= 0 && n <= MAX_NOISE_LEVEL);

  static final Option<List<Overridable>> OVERRIDE_COLUMNS =
      Option.ofEnums(
          "override-columns",
          Overridable.class,
          "NAME,...",
          "Input columns that override the options of the same names row by row, where they are not"
              + " null.");

  /** Options that a row can override, by the names of their columns. */
  enum Overridable {
    seed,
    height,
    width,
    num_inference_steps,
    guidance_scale,
    negative_prompt
  }

  /** One image of 512 x 512 pixels on a CPU, which gains nothing of more, and 16 on a GPU. */
  private static final Budget.Unit BUDGET =
      new Budget.Unit("pixels of the images that are rendered at once", 512 * 512, 16 * 512 * 512);

  /** Rows of several sizes find others of theirs; the finished images end a window earlier. */
  private static final int WINDOW_ROWS = 256;

  /** An image takes seconds. */
  private static final int MIN_TASK_ROWS = 1;

  private static final TaskData DATA =
      new TaskData(
          "render",
          "Renders images from prompts. Names, defaults and meaning of the model's parameters are"
              + " those of diffusers.",
          List.of(PACK_TASK),
          List.of(Argument.required(PROMPT, Argument.Kind.TEXT, "prompt"), IMAGE, MASK, CONTROL),
          List.of(
              NUM_INFERENCE_STEPS,
              GUIDANCE_SCALE,
              NEGATIVE_PROMPT,
              HEIGHT,
              WIDTH,
              SCHEDULER,
              USE_KARRAS_SIGMAS,
              NUM_IMAGES_PER_PROMPT,
              STRENGTH,
              CONTROLNET_CONDITIONING_SCALE,
              NOISE_LEVEL,
              StageOptions.PRIOR_NUM_INFERENCE_STEPS,
              StageOptions.PRIOR_GUIDANCE_SCALE,
              StageOptions.SUPER_RES_NUM_INFERENCE_STEPS,
              StageOptions.SUPER_RES_GUIDANCE_SCALE,
              OVERRIDE_COLUMNS,
              ImageFormat.OPTION),
          BUDGET,
          WINDOW_ROWS,
          MIN_TASK_ROWS);

  @Override
  public int rowsPerInput(OptionValues options) {
    return options.get(NUM_IMAGES_PER_PROMPT);
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
                new Result("image", Result.Type.IMAGE, "a PNG or JPEG file"),
                new Result("width", Result.Type.INT, "in pixels"),
                new Result("height", Result.Type.INT, "in pixels"),
                new Result("seed", Result.Type.LONG, "lineage.seed, or what the seed column says"),
                new Result("scheduler", Result.Type.TEXT, "what the image was made with"),
                new Result("steps", Result.Type.INT, "likewise"),
                new Result("guidance_scale", Result.Type.DOUBLE, "likewise"),
                new Result(
                    "truncated",
                    Result.Type.BOOLEAN,
                    "whether the prompt had more tokens than the text encoder takes")));
    if (options.get(NUM_IMAGES_PER_PROMPT) > 1) {
      results.add(
          new Result(
              "image_index",
              Result.Type.INDEX,
              "with --num-images-per-prompt: one output row an image"));
    }
    return results;
  }

  /** {@inheritDoc} The columns that override options as well. */
  @Override
  public List<Input> inputs(OptionValues options) {
    List<Input> inputs = new ArrayList<>(TaskDefinition.super.inputs(options));
    for (Overridable option : options.get(OVERRIDE_COLUMNS)) {
      Argument.Kind kind =
          option == Overridable.negative_prompt ? Argument.Kind.TEXT : Argument.Kind.NUMBER;
      inputs.add(new Input(option.name(), kind, option.name(), OVERRIDE_COLUMNS.name()));
    }
    return inputs;
  }

  @Override
  public void check(OptionValues options, Problems problems) {
    if (options.get(SCHEDULER) != null) {
      checkKarras(options, options.get(SCHEDULER), problems);
    }
    if (options.has(STRENGTH) && !options.has(IMAGE.column())) {
      problems.add(STRENGTH.name(), options.get(STRENGTH), "only with image-column");
    }
    if (options.has(CONTROLNET_CONDITIONING_SCALE) && !options.has(CONTROL.column())) {
      problems.add(
          CONTROLNET_CONDITIONING_SCALE.name(),
          options.get(CONTROLNET_CONDITIONING_SCALE),
          "only with control-column");
    }
    if (options.has(MASK.column()) && !options.has(IMAGE.column())) {
      problems.add(MASK.column().name(), options.get(MASK.column()), "only with image-column");
    }
  }

  private static void checkKarras(OptionValues options, SchedulerName name, Problems problems) {
    if (options.get(USE_KARRAS_SIGMAS) && !name.takesKarrasSigmas()) {
      problems.add(
          USE_KARRAS_SIGMAS.name(), "with " + name, "one of " + SchedulerName.withKarrasSigmas());
    }
  }

  @Override
  public OptionValues needed(PackSpec pack) {
    DiffusionSpec spec = DiffusionSpec.read(pack.section(PACK_TASK, new Problems()));
    List<Condition> conditions = spec.base().conditions();
    List<Argument> columns = new ArrayList<>();
    if (conditions.contains(Condition.inpaint)) {
      columns.addAll(List.of(IMAGE, MASK));
    }
    if (conditions.contains(Condition.control)) {
      columns.add(CONTROL);
    }
    if (spec.enlarges()) {
      columns.add(IMAGE);
    }
    OptionValues options = OptionValues.NONE;
    for (Argument column : columns) {
      options = options.with(column.column(), column.name());
    }
    return options;
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    DiffusionSpec spec = DiffusionSpec.read(pack.section(PACK_TASK, problems));
    boolean fromImages = options.has(IMAGE.column()) && !spec.enlarges() && !spec.cascades();
    for (String role : spec.graphs()) {
      if (!pack.graphs().containsKey(role)) {
        problems.add("model", "a pack without " + role, "one with it");
      }
    }
    boolean encodes =
        fromImages || spec.base().conditions().contains(Condition.lowResolutionLatents);
    if (encodes && !pack.graphs().containsKey("vae_encoder")) {
      problems.add("model", "a pack without vae_encoder", "one, to start from images");
    }
    checkPictures(options, spec, problems);
    PackSpec.require("tokenizer", pack.tokenizer(), problems);
    PackSpec.require("generation", pack.generation(), problems);
    if (pack.image().isEmpty()) {
      problems.add("model: image", "missing", "the size that the model was trained for");
      return;
    }
    Optional<SchedulerName> scheduler = scheduler(options, spec);
    if (scheduler.isEmpty()) {
      problems.add(
          SCHEDULER.name(),
          "the model's " + spec.base().scheduler().get("_class_name"),
          "--scheduler with one of " + List.of(SchedulerName.values()));
      return;
    }
    if (options.get(SCHEDULER) == null) {
      checkKarras(options, scheduler.get(), problems);
    }
    SchedulerConfig config =
        SchedulerConfig.of(
            scheduler.get(), spec.base().scheduler(), options.get(USE_KARRAS_SIGMAS), problems);
    StageOptions.check(options, spec, config, problems);
    ImageOptions image = ImageOptions.of(options, pack.image().get(), spec.base());
    image.check(spec.latents(), config, problems);
    if (fromImages) {
      image.checkStrength(strength(options), problems);
    }
  }

  /** A model's conditions need their pictures, and some pictures have no meaning for it. */
  private static void checkPictures(OptionValues options, DiffusionSpec spec, Problems problems) {
    List<Condition> conditions = spec.base().conditions();
    if (conditions.contains(Condition.inpaint) && !options.has(MASK.column())) {
      problems.add(
          MASK.column().name(), "missing", "a column of masks; the model paints masked parts only");
    }
    boolean controlled = conditions.contains(Condition.control);
    if (controlled && !options.has(CONTROL.column())) {
      problems.add(
          CONTROL.column().name(), "missing", "a column of pictures; the model follows them");
    }
    if (!controlled && options.has(CONTROL.column())) {
      problems.add(
          CONTROL.column().name(),
          options.get(CONTROL.column()),
          "none; the model is no ControlNet");
    }
    if (spec.enlarges() && !options.has(IMAGE.column())) {
      problems.add(
          IMAGE.column().name(), "missing", "a column of pictures; the model enlarges them");
    }
    if (!spec.takesNoiseLevel() && options.has(NOISE_LEVEL)) {
      problems.add(
          NOISE_LEVEL.name(), options.get(NOISE_LEVEL), "none; the model enlarges nothing");
    }
    if (spec.cascades() && options.has(IMAGE.column())) {
      problems.add(
          IMAGE.column().name(),
          options.get(IMAGE.column()),
          "none; a model of several stages starts from noise");
    }
    for (Option<?> option : List.of(SCHEDULER, USE_KARRAS_SIGMAS)) {
      if (spec.cascades() && options.has(option)) {
        problems.add(
            option.name(),
            options.get(option),
            "none; each stage of the model has its own scheduler");
      }
    }
    for (Option<?> option : List.of(STRENGTH, MASK.column())) {
      if (spec.enlarges() && options.has(option)) {
        problems.add(option.name(), options.get(option), "none; the model enlarges whole pictures");
      }
    }
  }

  /** The share of the steps that is made where an image is the start. */
  static double strength(OptionValues options) {
    Double strength = options.get(STRENGTH);
    return strength != null ? strength : options.has(MASK.column()) ? 1 : 0.8;
  }

  /** The scheduler that was asked for, or the model's own if it is known here. */
  static Optional<SchedulerName> scheduler(OptionValues options, DiffusionSpec spec) {
    return Optional.ofNullable(options.get(SCHEDULER)).or(() -> spec.base().ownScheduler());
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new Renderer(model, options, budget);
  }
}
