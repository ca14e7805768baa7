package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowException;
import io.lakegen.task.diffusion.RenderOptions;
import io.lakegen.task.diffusion.RenderOptions.ImageOptions;
import io.lakegen.task.diffusion.Renderer;
import io.lakegen.task.diffusion.Renderer.PreparedRender;
import io.lakegen.task.diffusion.Renderer.RenderInput;
import io.lakegen.task.diffusion.Renderer.RenderedImage;
import io.lakegen.task.vision.ImageFiles;
import java.io.Serializable;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * Renders images from prompts: adds {@code image}, {@code width}, {@code height}, {@code seed},
 * {@code scheduler}, {@code steps}, {@code guidance_scale} and {@code truncated}, and {@code
 * image_index} where a prompt has several images, one output row each.
 *
 * @param prompt place of the string column of prompts in the input schema
 * @param start place of the binary column of images to start from; -1 for none
 * @param overrides columns that take the place of options where they are not null
 * @param batchPixels pixels of a batch, 0 for the device's default
 */
public record RenderRows(
    int prompt,
    int start,
    Map<Overridable, Column> overrides,
    RenderOptions options,
    ImageFormat format,
    long batchPixels)
    implements RowTask<RenderInput, PreparedRender, List<RenderedImage>> {
  /** Below, JPEG's blocks are seen around the sharp edges of drawings. */
  private static final float JPEG_QUALITY = 0.95f;

  /** Column that numbers the images of a prompt. */
  public static final String INDEX = "image_index";

  public RenderRows {
    overrides = Map.copyOf(overrides);
  }

  /** Options that a row can override, by the names of their columns. */
  public enum Overridable {
    seed,
    height,
    width,
    num_inference_steps,
    guidance_scale,
    negative_prompt
  }

  /** A column's place in the input schema, and its type: a string or a number. */
  public record Column(int ordinal, DataType type) implements Serializable {}

  /** Formats of the image column. */
  public enum ImageFormat {
    png,
    jpeg;

    /** An image as a file. */
    byte[] file(RenderedImage image) {
      return this == png
          ? ImageFiles.png(image.pixels())
          : ImageFiles.jpeg(image.pixels(), JPEG_QUALITY);
    }
  }

  @Override
  public StructType columns() {
    StructType columns =
        new StructType()
            .add("image", DataTypes.BinaryType)
            .add("width", DataTypes.IntegerType)
            .add("height", DataTypes.IntegerType)
            .add("seed", DataTypes.LongType)
            .add("scheduler", DataTypes.StringType)
            .add("steps", DataTypes.IntegerType)
            .add("guidance_scale", DataTypes.DoubleType)
            .add("truncated", DataTypes.BooleanType);
    return options.numImagesPerPrompt() > 1 ? columns.add(INDEX, DataTypes.IntegerType) : columns;
  }

  @Override
  public Optional<String> indexColumn() {
    return options.numImagesPerPrompt() > 1 ? Optional.of(INDEX) : Optional.empty();
  }

  @Override
  public RenderInput input(InternalRow row, long seed) throws RowException {
    ImageOptions image = options.image();
    UTF8String negative = text(row, Overridable.negative_prompt);
    return new RenderInput(
        row.isNullAt(prompt) ? null : row.getUTF8String(prompt).getBytes(),
        new ImageOptions(
            negative == null
                ? image.negativePrompt()
                : new String(negative.getBytes(), StandardCharsets.UTF_8),
            (int) whole(row, Overridable.height, image.height(), Integer.MAX_VALUE),
            (int) whole(row, Overridable.width, image.width(), Integer.MAX_VALUE),
            (int)
                whole(
                    row,
                    Overridable.num_inference_steps,
                    image.numInferenceSteps(),
                    Integer.MAX_VALUE),
            number(row, Overridable.guidance_scale, image.guidanceScale())),
        whole(row, Overridable.seed, seed, Long.MAX_VALUE),
        start >= 0,
        start < 0 || row.isNullAt(start) ? null : row.getBinary(start));
  }

  private UTF8String text(InternalRow row, Overridable option) {
    Column column = overrides.get(option);
    if (column == null || row.isNullAt(column.ordinal())) {
      return null;
    }
    Object value = row.get(column.ordinal(), column.type());
    return value instanceof UTF8String text ? text : UTF8String.fromString(value.toString());
  }

  private double number(InternalRow row, Overridable option, double otherwise) throws RowException {
    UTF8String text = text(row, option);
    if (text == null) {
      return otherwise;
    }
    try {
      return Double.parseDouble(text.toString());
    } catch (NumberFormatException e) {
      throw bad(option, text, "a number");
    }
  }

  private long whole(InternalRow row, Overridable option, long otherwise, long most)
      throws RowException {
    UTF8String text = text(row, option);
    if (text == null) {
      return otherwise;
    }
    try {
      long value = new BigDecimal(text.toString().strip()).longValueExact();
      if (value <= most && value >= -most - 1) {
        return value;
      }
    } catch (ArithmeticException | NumberFormatException e) {
      // Said below.
    }
    throw bad(option, text, "a whole number");
  }

  private static RowException bad(Overridable option, UTF8String found, String expected) {
    return RowException.prepare(
        "bad_option", option + ": " + found + " (expected: " + expected + ")");
  }

  @Override
  public ModelTask<RenderInput, PreparedRender, List<RenderedImage>> open(LoadedModel model) {
    return new Renderer(
        model, options, start >= 0, batchPixels > 0 ? batchPixels : defaultBudget(model.device()));
  }

  @Override
  public List<Object[]> values(List<RenderedImage> images) {
    List<Object[]> rows = new ArrayList<>(images.size());
    for (int i = 0; i < images.size(); i++) {
      RenderedImage image = images.get(i);
      PreparedRender row = image.row();
      List<Object> values = new ArrayList<>();
      values.add(format.file(image));
      values.add(row.options().width());
      values.add(row.options().height());
      values.add(row.seed());
      values.add(UTF8String.fromString(options.scheduler().name()));
      values.add(row.options().numInferenceSteps());
      values.add(row.options().guidanceScale());
      values.add(row.truncated());
      if (options.numImagesPerPrompt() > 1) {
        values.add(i);
      }
      rows.add(values.toArray());
    }
    return rows;
  }

  /** An image takes seconds. */
  @Override
  public int minTaskRows() {
    return 1;
  }

  /** Rows of several sizes find others of theirs; the finished images end a window earlier. */
  @Override
  public int windowRows() {
    return 256;
  }

  /** One image of 512 x 512 pixels on a CPU, which gains nothing of more, and 16 on a GPU. */
  @Override
  public long defaultBudget(Device device) {
    return (device.isGpu() ? 16L : 1L) * 512 * 512;
  }
}
