package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowException;
import java.io.Serializable;
import java.util.List;
import java.util.Optional;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.StructType;

/**
 * What a job does with a row, as it travels to the executors: small, serialisable, without a model.
 * Two equal tasks make the same {@link ModelTask}, which the tasks of an executor then share.
 *
 * @param <I> what the model task reads of a row
 * @param <P> a prepared row
 * @param <O> a row's result
 */
public interface RowTask<I, P, O> extends Serializable {

  /**
   * Columns that the task adds, in order; all nullable, since a row with an error has none of them.
   */
  StructType columns();

  /**
   * Takes the task's input out of a row.
   *
   * @param row the whole input row; it is reused afterwards, so that what is kept must be a copy
   *     (as {@code getBinary} and {@code getBytes} give)
   * @param seed the row's own seed, the same wherever and whenever the row is processed
   * @throws RowException if the row cannot be read
   */
  I input(InternalRow row, long seed) throws RowException;

  /** Binds the task to a loaded model, which stays the caller's to close. */
  ModelTask<I, P, O> open(LoadedModel model);

  /**
   * The values of {@link #columns} for a result, in Spark's internal types: one array for every
   * output row, at least one.
   */
  List<Object[]> values(O result);

  /** Numbers the output rows of an input row from 0; none where there is always one. */
  default Optional<String> indexColumn() {
    return Optional.empty();
  }

  /** Rows that are worth a Spark task, and a device, of their own; fewer stay together. */
  default int minTaskRows() {
    return 32;
  }

  /** Most rows that are sorted together. */
  int windowRows();

  /** Padded cost of a batch where the user names none. */
  long defaultBudget(Device device);
}
