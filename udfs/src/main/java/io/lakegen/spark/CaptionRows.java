package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.ModelTask;
import io.lakegen.task.text.GenerationOptions;
import io.lakegen.task.vision.Captioner;
import io.lakegen.task.vision.Captioner.Caption;
import io.lakegen.task.vision.Captioner.CaptionOptions;
import io.lakegen.task.vision.Captioner.Picture;
import io.lakegen.task.vision.Captioner.PreparedPicture;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * Captions a column of image files: adds {@code caption}, {@code token_count}, {@code
 * mean_logprob}, {@code width} and {@code height}, {@code thumbnail} on request, and {@code
 * sequence_index} where a picture has several captions.
 *
 * @param ordinal the binary column's place in the input schema
 */
public record CaptionRows(int ordinal, GenerationOptions options, CaptionOptions captionOptions)
    implements RowTask<Picture, PreparedPicture, List<Caption>> {
  private static final String SEQUENCE_INDEX = "sequence_index";

  @Override
  public StructType columns() {
    StructType columns =
        new StructType()
            .add("caption", DataTypes.StringType)
            .add("token_count", DataTypes.IntegerType)
            .add("mean_logprob", DataTypes.DoubleType)
            .add("width", DataTypes.IntegerType)
            .add("height", DataTypes.IntegerType);
    if (captionOptions.thumbnail() > 0) {
      columns = columns.add("thumbnail", DataTypes.BinaryType);
    }
    return options.numReturnSequences() > 1
        ? columns.add(SEQUENCE_INDEX, DataTypes.IntegerType)
        : columns;
  }

  @Override
  public Optional<String> indexColumn() {
    return options.numReturnSequences() > 1 ? Optional.of(SEQUENCE_INDEX) : Optional.empty();
  }

  @Override
  public Picture input(InternalRow row, long seed) {
    return new Picture(row.isNullAt(ordinal) ? null : row.getBinary(ordinal), seed);
  }

  @Override
  public ModelTask<Picture, PreparedPicture, List<Caption>> open(LoadedModel model) {
    return new Captioner(model, options, captionOptions);
  }

  @Override
  public List<Object[]> values(List<Caption> captions) {
    List<Object[]> rows = new ArrayList<>(captions.size());
    for (int i = 0; i < captions.size(); i++) {
      Caption caption = captions.get(i);
      List<Object> values = new ArrayList<>();
      values.add(UTF8String.fromString(caption.text()));
      values.add(caption.tokenCount());
      values.add(caption.meanLogProbability());
      values.add(caption.picture().width());
      values.add(caption.picture().height());
      if (captionOptions.thumbnail() > 0) {
        values.add(caption.picture().thumbnail());
      }
      if (options.numReturnSequences() > 1) {
        values.add(i);
      }
      rows.add(values.toArray());
    }
    return rows;
  }

  /** Reading and seeing a picture costs more than a task. */
  @Override
  public int minTaskRows() {
    return 1;
  }

  /** The first window is a sixteenth; the bytes of large pictures end a window much earlier. */
  @Override
  public int windowRows() {
    return 256;
  }

  /** Pictures, or rows of the decoder where beams or sequences multiply them. */
  @Override
  public long defaultBudget(Device device) {
    return device.isGpu() ? 128 : 16;
  }
}
