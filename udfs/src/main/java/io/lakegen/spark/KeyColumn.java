package io.lakegen.spark;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.JoinedRow;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/** Adds the rows' keys to a dataset, as scoring would write them into the lineage. */
public final class KeyColumn {
  private KeyColumn() {}

  /**
   * Adds a column.
   *
   * @param keyColumns see {@link ScoringPlan#keyColumns}
   */
  public static Dataset<Row> add(Dataset<Row> rows, List<String> keyColumns, String name) {
    var dataset = (org.apache.spark.sql.classic.Dataset<Row>) rows;
    JavaRDD<InternalRow> keyed =
        dataset
            .queryExecution()
            .toRdd()
            .toJavaRDD()
            .mapPartitions(new AddKeys(rows.schema(), new ArrayList<>(keyColumns)));
    return dataset
        .sparkSession()
        .internalCreateDataFrame(
            keyed.rdd(), rows.schema().add(name, DataTypes.StringType, false), false);
  }

  private record AddKeys(StructType schema, List<String> keyColumns)
      implements FlatMapFunction<Iterator<InternalRow>, InternalRow> {
    @Override
    public Iterator<InternalRow> call(Iterator<InternalRow> rows) {
      RowKey keys = RowKey.of(schema, keyColumns);
      return new Iterator<>() {
        @Override
        public boolean hasNext() {
          return rows.hasNext();
        }

        @Override
        public InternalRow next() {
          InternalRow row = rows.next();
          return new JoinedRow(
              row, new GenericInternalRow(new Object[] {UTF8String.fromString(keys.of(row))}));
        }
      };
    }
  }
}
