package io.lakegen.jobs;

import io.lakegen.model.PackSpec;
import io.lakegen.spark.CaptionRows;
import io.lakegen.spark.RowTask;
import io.lakegen.task.text.GenerationOptions;
import io.lakegen.task.vision.Captioner;
import io.lakegen.task.vision.Captioner.CaptionOptions;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.StructType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The job {@code caption}: a caption for every image. */
@Command(
    name = "caption",
    description = {
      "Captions images: adds the columns caption, token_count, mean_logprob, width and height.",
      "Input: image files, or a table whose --column holds images or the paths of image files"
          + " (relative ones start at the first input's folder).",
      "--batch-budget counts pictures here, times beams or sequences."
    },
    sortOptions = false,
    mixinStandardHelpOptions = true)
final class CaptionCommand extends JobCommand {
  @Mixin private DecodingOptions decoding = new DecodingOptions();

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "Every caption goes on from this text (GIT and BLIP).")
  private String prompt = "";

  @Option(
      names = "--keep-image",
      description = "Pass the image files on to the output; without, binary inputs are left out.")
  private boolean keepImage;

  @Option(
      names = "--thumbnail",
      paramLabel = "N",
      description = "Add the column thumbnail: a JPEG whose longest side has N pixels.")
  private int thumbnail;

  private GenerationOptions generation;
  private CaptionOptions captionOptions;
  private String imageColumn;

  CaptionCommand() {
    common.column = "image";
  }

  @Override
  Set<String> packTasks() {
    return Set.of("image-to-text");
  }

  @Override
  SortedMap<String, Object> params() {
    SortedMap<String, Object> params = new TreeMap<>(decoding.params());
    params.put("column", common.column);
    params.put("prompt", prompt);
    params.put("thumbnail", thumbnail);
    return params;
  }

  @Override
  void checkOptions(Problems problems) {
    generation = decoding.check(problems);
    try {
      captionOptions = new CaptionOptions(prompt, thumbnail);
    } catch (IllegalArgumentException e) {
      problems.add(e.getMessage());
    }
  }

  @Override
  Dataset<Row> load(Dataset<Row> rows, InputFiles files, Problems problems) {
    Optional<ImageColumn> images =
        files.format() == InputFormat.image
            ? Optional.of(ImageColumn.ofFiles(rows, FileContent.PATH, files))
            : ImageColumn.find(rows, files, "column", common.column, problems);
    images.ifPresent(i -> imageColumn = i.name());
    return images.map(ImageColumn::rows).orElse(null);
  }

  @Override
  List<String> outputColumns(List<String> visible, StructType schema) {
    return visible.stream().filter(n -> keepImage || !n.equals(imageColumn)).toList();
  }

  @Override
  RowTask<?, ?, ?> task(StructType schema, PackSpec pack, Problems problems) {
    if (generation == null || captionOptions == null) {
      return null;
    }
    Captioner.problem(pack, generation, captionOptions).ifPresent(problems::add);
    return new CaptionRows(schema.fieldIndex(imageColumn), generation, captionOptions);
  }
}
