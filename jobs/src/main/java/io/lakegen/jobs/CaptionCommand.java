package io.lakegen.jobs;

import io.lakegen.model.PackSpec;
import io.lakegen.spark.CaptionRows;
import io.lakegen.spark.RowTask;
import io.lakegen.task.text.GenerationOptions;
import io.lakegen.task.vision.Captioner;
import io.lakegen.task.vision.Captioner.CaptionOptions;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
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
    if (files.format() == InputFormat.image) {
      imageColumn = FileContent.COLUMN;
      return content(rows, FileContent.PATH, files);
    }
    int ordinal = TextColumn.find(rows.schema(), "column", common.column, problems);
    if (ordinal < 0) {
      return null;
    }
    DataType type = rows.schema().fields()[ordinal].dataType();
    if (type.equals(DataTypes.BinaryType)) {
      imageColumn = common.column;
      return rows;
    }
    if (!type.equals(DataTypes.StringType)) {
      problems.add(
          "column",
          common.column + " is " + type.simpleString(),
          "a column of images (binary) or paths (string)");
      return null;
    }
    if (Arrays.asList(rows.columns()).contains(FileContent.COLUMN)) {
      problems.add("input column", FileContent.COLUMN, "another name; the files' bytes go there");
      return null;
    }
    imageColumn = FileContent.COLUMN;
    return content(rows, common.column, files);
  }

  private static Dataset<Row> content(Dataset<Row> rows, String pathColumn, InputFiles files) {
    Path root = files.roots().get(0);
    boolean file = files.files().get(0).getPath().equals(root);
    return FileContent.add(
        rows,
        pathColumn,
        file ? root.getParent() : root,
        rows.sparkSession().sparkContext().hadoopConfiguration());
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
