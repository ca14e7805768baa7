package io.lakegen.bench;

import ai.djl.Device;
import io.lakegen.model.LoadedModel;
import io.lakegen.spark.RowTask;
import io.lakegen.task.ModelTask;
import java.util.List;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * A model that does nothing: what is left is the cost of the way of a row. Adds {@code bytes}, the
 * length of the text.
 */
public record IdentityRows() implements RowTask<byte[], byte[], Integer> {
  @Override
  public StructType columns() {
    return new StructType().add("bytes", DataTypes.IntegerType);
  }

  @Override
  public byte[] input(InternalRow row, long seed) {
    return row.getUTF8String(0).getBytes();
  }

  @Override
  public ModelTask<byte[], byte[], Integer> open(LoadedModel model) {
    return new ModelTask<>() {
      @Override
      public byte[] prepare(byte[] input) {
        return input;
      }

      @Override
      public int size(byte[] prepared) {
        return prepared.length;
      }

      @Override
      public List<Integer> infer(List<byte[]> batch) {
        return batch.stream().map(text -> text.length).toList();
      }

      @Override
      public void check() {}
    };
  }

  @Override
  public List<Object[]> values(Integer result) {
    return List.<Object[]>of(new Object[] {result});
  }

  @Override
  public int windowRows() {
    return 4096;
  }

  @Override
  public long defaultBudget(Device device) {
    return 2_048;
  }
}
