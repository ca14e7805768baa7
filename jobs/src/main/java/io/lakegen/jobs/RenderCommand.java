package io.lakegen.jobs;

import io.lakegen.model.PackSpec;
import io.lakegen.spark.RenderRows;
import io.lakegen.spark.RenderRows.ImageFormat;
import io.lakegen.spark.RenderRows.Overridable;
import io.lakegen.spark.RowTask;
import io.lakegen.task.diffusion.RenderOptions;
import io.lakegen.task.diffusion.RenderOptions.ImageOptions;
import io.lakegen.task.diffusion.Renderer;
import io.lakegen.task.diffusion.SchedulerName;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.NumericType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.StructType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The job {@code render}: images for every prompt. */
@Command(
    name = "render",
    description = {
      "Renders images from prompts: adds the columns image, width, height, seed, scheduler, steps,"
          + " guidance_scale and truncated, and image_index where a prompt has several images.",
      "Names, defaults and meaning of the model's parameters are those of diffusers.",
      "--batch-budget counts the pixels of the images that are rendered at once."
    },
    sortOptions = false,
    mixinStandardHelpOptions = true)
final class RenderCommand extends JobCommand {
  @Option(
      names = "--num-inference-steps",
      paramLabel = "N",
      description = "Steps from noise to image (default: ${DEFAULT-VALUE}).")
  private int numInferenceSteps = 50;

  @Option(
      names = "--guidance-scale",
      paramLabel = "X",
      description =
          "Weight of the prompt; 1 or less renders without guidance, in half the time (default: ${DEFAULT-VALUE}).")
  private double guidanceScale = 7.5;

  @Option(
      names = "--negative-prompt",
      paramLabel = "TEXT",
      description = "What guidance leads away from.")
  private String negativePrompt = "";

  @Option(
      names = "--height",
      paramLabel = "PIXELS",
      description = "Height of the images (default: the model's own).")
  private Integer height;

  @Option(
      names = "--width",
      paramLabel = "PIXELS",
      description = "Width of the images (default: the model's own).")
  private Integer width;

  @Option(
      names = "--scheduler",
      paramLabel = "NAME",
      description = "One of ${COMPLETION-CANDIDATES} (default: the model's own).")
  private SchedulerName scheduler;

  @Option(
      names = "--use-karras-sigmas",
      description =
          "Space the steps by Karras et al. (EulerDiscreteScheduler and DPMSolverMultistepScheduler).")
  private boolean useKarrasSigmas;

  @Option(
      names = "--num-images-per-prompt",
      paramLabel = "N",
      description = "Images for each prompt, one output row each (default: ${DEFAULT-VALUE}).")
  private int numImagesPerPrompt = 1;

  @Option(
      names = "--image-column",
      paramLabel = "NAME",
      description =
          "Start from the images of this column: image files (binary) or their paths (relative ones start at the first"
              + " input's folder). They are scaled to the size that is rendered.")
  private String imageColumn;

  @Option(
      names = "--strength",
      paramLabel = "X",
      description =
          "With --image-column: share of the steps that is made; near 0 keeps the image, 1 forgets it (default:"
              + " ${DEFAULT-VALUE}).")
  private double strength = 0.8;

  @Option(
      names = "--override-columns",
      paramLabel = "NAME",
      split = ",",
      description =
          "Columns that override the options of the same names row by row, where they are not null: any of"
              + " ${COMPLETION-CANDIDATES}.")
  private List<Overridable> overrideColumns = new ArrayList<>();

  @Option(
      names = "--image-format",
      description = "One of ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private ImageFormat imageFormat = ImageFormat.png;

  @Option(
      names = "--files",
      paramLabel = "DIR",
      description = "Write every image as a file too, named by its row's lineage.key.")
  private String files;

  private RenderOptions options;
  private String startColumn;

  RenderCommand() {
    common.column = "prompt";
  }

  @Override
  Set<String> packTasks() {
    return Set.of("text-to-image");
  }

  @Override
  SortedMap<String, Object> params() {
    SortedMap<String, Object> params = new TreeMap<>();
    params.put("column", common.column);
    params.put("negative_prompt", negativePrompt);
    params.put("height", options.image().height());
    params.put("width", options.image().width());
    params.put("num_inference_steps", numInferenceSteps);
    params.put("guidance_scale", guidanceScale);
    params.put("scheduler", options.scheduler().name());
    params.put("use_karras_sigmas", useKarrasSigmas);
    params.put("num_images_per_prompt", numImagesPerPrompt);
    params.put("image_column", imageColumn == null ? "" : imageColumn);
    params.put("strength", strength);
    params.put("override_columns", overrideColumns.stream().map(Enum::name).sorted().toList());
    params.put("image_format", imageFormat.name());
    return params;
  }

  @Override
  void checkOptions(Problems problems) {
    try {
      // Those that do not depend on the pack, so that they are told even where it is missing.
      options(SchedulerName.DPMSolverMultistepScheduler, 0, 0);
    } catch (IllegalArgumentException e) {
      Arrays.asList(e.getMessage().split("\n")).forEach(problems::add);
    }
    if (imageColumn == null
        && commandSpec.commandLine().getParseResult().hasMatchedOption("--strength")) {
      problems.add("strength", strength, "only with image-column");
    }
  }

  private RenderOptions options(SchedulerName name, int modelHeight, int modelWidth) {
    return new RenderOptions(
        new ImageOptions(
            negativePrompt,
            height == null ? modelHeight : height,
            width == null ? modelWidth : width,
            numInferenceSteps,
            guidanceScale),
        scheduler == null ? name : scheduler,
        useKarrasSigmas,
        strength,
        numImagesPerPrompt);
  }

  @Override
  Dataset<Row> load(Dataset<Row> rows, InputFiles input, Problems problems) {
    if (imageColumn == null) {
      return rows;
    }
    Optional<ImageColumn> images =
        ImageColumn.find(rows, input, "image-column", imageColumn, problems);
    images.ifPresent(i -> startColumn = i.name());
    return images.map(ImageColumn::rows).orElse(null);
  }

  /** The output has the values of the columns that override options, and new images. */
  @Override
  List<String> outputColumns(List<String> visible, StructType schema) {
    List<String> shown = Arrays.asList("seed", "height", "width", "guidance_scale");
    return visible.stream()
        .filter(n -> !n.equals(startColumn))
        .filter(
            n -> !shown.contains(n) || overrideColumns.stream().noneMatch(o -> o.name().equals(n)))
        .toList();
  }

  @Override
  RowTask<?, ?, ?> task(StructType schema, PackSpec pack, Problems problems) {
    Optional<SchedulerName> own = own(pack);
    if (scheduler == null && own.isEmpty()) {
      problems.add(
          "scheduler",
          "the model's " + pack.scheduler().get("_class_name"),
          "--scheduler with one of " + Arrays.toString(SchedulerName.values()));
      return null;
    }
    PackSpec.Image size = pack.image().orElseThrow();
    try {
      options = options(own.orElse(scheduler), size.height(), size.width());
      Renderer.problems(pack, options, imageColumn != null).forEach(problems::add);
    } catch (IllegalArgumentException e) {
      // Told by checkOptions, but for what the pack's own scheduler cannot do.
      if (problems.isEmpty()) {
        problems.add(e.getMessage());
      }
    }
    int prompt = TextColumn.ordinal(schema, common.column, problems);
    Map<Overridable, RenderRows.Column> overrides = overrides(schema, problems);
    return problems.isEmpty()
        ? new RenderRows(
            prompt,
            startColumn == null ? -1 : schema.fieldIndex(startColumn),
            overrides,
            options,
            imageFormat,
            common.batchBudget == null ? 0 : common.batchBudget)
        : null;
  }

  private static Optional<SchedulerName> own(PackSpec pack) {
    return Arrays.stream(SchedulerName.values())
        .filter(n -> n.name().equals(pack.scheduler().get("_class_name")))
        .findFirst();
  }

  private Map<Overridable, RenderRows.Column> overrides(StructType schema, Problems problems) {
    Map<Overridable, RenderRows.Column> found = new EnumMap<>(Overridable.class);
    for (Overridable option : overrideColumns) {
      int ordinal = TextColumn.find(schema, "override-columns", option.name(), problems);
      if (ordinal >= 0) {
        DataType type = schema.fields()[ordinal].dataType();
        boolean text = option == Overridable.negative_prompt;
        if (!(type instanceof StringType || (type instanceof NumericType && !text))) {
          problems.add(
              "override-columns",
              option + " is " + type.simpleString(),
              text ? "a column of type string" : "a column of type string or number");
        }
        found.put(option, new RenderRows.Column(ordinal, type));
      }
    }
    return found;
  }

  @Override
  RowsExport export() {
    return files == null
        ? RowsExport.NONE
        : new ImageFileExport(
            files,
            imageFormat == ImageFormat.jpeg ? "jpg" : "png",
            numImagesPerPrompt > 1 ? Optional.of(RenderRows.INDEX) : Optional.empty());
  }
}
