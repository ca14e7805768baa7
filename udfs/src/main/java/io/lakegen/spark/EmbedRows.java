package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.ModelTask;
import io.lakegen.task.text.TextEmbedder;
import java.util.List;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * Embeds a text column: adds {@code embedding}, {@code token_count} and {@code truncated}.
 *
 * @param ordinal the text column's place in the input schema
 */
public record EmbedRows(int ordinal)
    implements RowTask<byte[], TextEmbedder.Tokens, TextEmbedder.Embedding> {
  private static final StructType COLUMNS =
      new StructType()
          .add("embedding", DataTypes.createArrayType(DataTypes.FloatType, false))
          .add("token_count", DataTypes.IntegerType)
          .add("truncated", DataTypes.BooleanType);

  @Override
  public StructType columns() {
    return COLUMNS;
  }

  @Override
  public byte[] input(InternalRow row, long seed) {
    return row.isNullAt(ordinal) ? null : row.getUTF8String(ordinal).getBytes();
  }

  @Override
  public ModelTask<byte[], TextEmbedder.Tokens, TextEmbedder.Embedding> open(LoadedModel model) {
    return new TextEmbedder(model);
  }

  @Override
  public List<Object[]> values(TextEmbedder.Embedding result) {
    return List.<Object[]>of(
        new Object[] {
          UnsafeArrayData.fromPrimitiveArray(result.vector()),
          result.tokenCount(),
          result.truncated()
        });
  }

  @Override
  public int windowRows() {
    return 4096;
  }

  /**
   * On CPUs throughput is flat from a few hundred tokens a batch on, and small batches stay in the
   * caches; a GPU wants the thousands that fill it.
   */
  @Override
  public long defaultBudget(Device device) {
    return device.isGpu() ? 65_536 : 2_048;
  }
}
