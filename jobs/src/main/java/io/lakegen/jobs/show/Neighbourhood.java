package io.lakegen.jobs.show;

import io.lakegen.jobs.show.ShownColumn.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.spark.sql.Row;

/**
 * The vectors of some rows, with a text for each.
 *
 * @param texts what the rows are called by
 * @param embeddings their vectors
 */
record Neighbourhood(List<String> texts, Embeddings embeddings) {
  private static final int MOST_TEXT = 160;

  /** Of an output whose rows have vectors. */
  static Optional<Neighbourhood> of(JobOutput output, int rows) {
    Optional<ShownColumn> vector = output.result(Kind.VECTOR);
    if (vector.isEmpty()) {
      return Optional.empty();
    }
    List<String> columns = new ArrayList<>(List.of(vector.get().name()));
    Optional<ShownColumn> name =
        output.inputs().stream().filter(c -> c.is(Kind.TEXT) || c.is(Kind.PATH)).findFirst();
    name.ifPresent(n -> columns.add(n.name()));
    List<String> texts = new ArrayList<>();
    List<float[]> vectors = new ArrayList<>();
    for (Row row : output.sample(rows, columns)) {
      float[] values = Values.floats(row.getAs(vector.get().name()));
      if (values != null && (vectors.isEmpty() || vectors.get(0).length == values.length)) {
        vectors.add(values);
        texts.add(
            name.map(n -> label(n, row)).orElseGet(() -> row.<Row>getAs("lineage").getAs("key")));
      }
    }
    return vectors.size() < 3
        ? Optional.empty()
        : Optional.of(new Neighbourhood(texts, new Embeddings(vectors)));
  }

  private static String label(ShownColumn column, Row row) {
    String text = Values.text(row.getAs(column.name()));
    return column.is(Kind.PATH)
        ? Values.fileName(text)
        : Values.cut(text.strip().replaceAll("\\s+", " "), MOST_TEXT);
  }
}
