package io.lakegen.jobs;

import io.lakegen.spark.OutputSchema;
import java.util.Arrays;
import java.util.List;
import org.apache.commons.text.similarity.LevenshteinDistance;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Finds the column that a job reads. */
final class TextColumn {
  private TextColumn() {}

  /** The place of a column of strings, or -1 after reporting what is wrong with it. */
  static int ordinal(StructType schema, String name, Problems problems) {
    int ordinal = find(schema, "column", name, problems);
    if (ordinal < 0) {
      return -1;
    }
    DataType type = schema.fields()[ordinal].dataType();
    if (!type.equals(DataTypes.StringType)) {
      problems.add("column", name + " is " + type.simpleString(), "a column of type string");
      return -1;
    }
    return ordinal;
  }

  /**
   * The place of a column, or -1 after reporting that there is none.
   *
   * @param key option that named it
   */
  static int find(StructType schema, String key, String name, Problems problems) {
    List<String> names =
        Arrays.stream(schema.fieldNames())
            .filter(n -> !n.equals(OutputSchema.READ_ERROR) && !n.equals(OutputSchema.RAW))
            .toList();
    int ordinal = Arrays.asList(schema.fieldNames()).indexOf(name);
    if (ordinal < 0) {
      problems.add(key, name + " is not in the input", "one of " + names + suggestion(name, names));
      return -1;
    }
    return ordinal;
  }

  /** "; did you mean x?" where a known name is close, else nothing. */
  static String suggestion(String unknown, List<String> known) {
    LevenshteinDistance distance = LevenshteinDistance.getDefaultInstance();
    return known.stream()
        .filter(k -> distance.apply(unknown, k) <= Math.max(2, unknown.length() / 3))
        .min(java.util.Comparator.comparing(k -> distance.apply(unknown, k)))
        .map(k -> "; did you mean " + k + "?")
        .orElse("");
  }
}
