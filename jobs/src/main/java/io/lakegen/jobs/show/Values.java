package io.lakegen.jobs.show;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.spark.sql.Row;
import scala.jdk.javaapi.CollectionConverters;

/** Values of rows as texts for people. */
final class Values {
  private static final int FIRST_NUMBERS = 4;

  private Values() {}

  static String text(Object value) {
    if (value == null) {
      return "null";
    } else if (value instanceof Boolean yes) {
      return yes ? "yes" : "no";
    } else if (value instanceof Float || value instanceof Double) {
      return number(((Number) value).doubleValue());
    } else if (value instanceof Integer || value instanceof Long) {
      return String.format(Locale.ROOT, "%,d", ((Number) value).longValue());
    } else if (value instanceof byte[] bytes) {
      return size(bytes.length);
    } else if (value instanceof scala.collection.Map<?, ?> map) {
      return text(CollectionConverters.asJava(map));
    } else if (value instanceof Map<?, ?> map) {
      return map.entrySet().stream()
          .map(e -> text(e.getKey()) + " " + text(e.getValue()))
          .collect(Collectors.joining(", "));
    } else if (value instanceof scala.collection.Seq<?> list) {
      return text(CollectionConverters.asJava(list));
    } else if (value instanceof List<?> list) {
      return list.stream().map(Values::text).collect(Collectors.joining(", "));
    } else if (value instanceof Row row) {
      return row.schema() == null ? row.toString() : fields(row);
    }
    return value.toString();
  }

  private static String fields(Row row) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < row.size(); i++) {
      text.append(i == 0 ? "" : ", ").append(row.schema().fields()[i].name()).append(' ');
      text.append(text(row.get(i)));
    }
    return text.toString();
  }

  static String number(double value) {
    double size = Math.abs(value);
    if (value == Math.rint(value) && size < 1e15) {
      return String.format(Locale.ROOT, "%,.0f", value);
    }
    if (size >= 1e6 || size < 1e-4) {
      return String.format(Locale.ROOT, "%.3g", value);
    }
    int digits = size >= 100 ? 1 : size >= 1 ? 3 : 4;
    return String.format(Locale.ROOT, "%,." + digits + "f", value);
  }

  /** With one decimal. */
  static String tenths(double value) {
    return String.format(Locale.ROOT, "%,.1f", value);
  }

  /** How many things, by their name in the singular. */
  static String count(long number, String thing) {
    return String.format(Locale.ROOT, "%,d %s%s", number, thing, number == 1 ? "" : "s");
  }

  static String vector(float[] vector) {
    StringBuilder text = new StringBuilder(vector.length + " numbers:");
    for (int i = 0; i < Math.min(FIRST_NUMBERS, vector.length); i++) {
      text.append(String.format(Locale.ROOT, " %.3f", vector[i]));
    }
    return text + (vector.length > FIRST_NUMBERS ? " …" : "");
  }

  /** A vector column's value; null stays null. */
  static float[] floats(Object value) {
    if (value == null) {
      return null;
    }
    List<?> list = list(value);
    float[] floats = new float[list.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = ((Number) list.get(i)).floatValue();
    }
    return floats;
  }

  /** A list column's value; a null is an empty list. */
  static List<?> list(Object value) {
    if (value == null) {
      return List.of();
    }
    return value instanceof List<?> java
        ? java
        : CollectionConverters.asJava((scala.collection.Seq<?>) value);
  }

  static String size(long bytes) {
    if (bytes < 1000) {
      return bytes + " B";
    }
    return bytes < 1_000_000
        ? String.format(Locale.ROOT, "%.1f kB", bytes / 1e3)
        : String.format(Locale.ROOT, "%,.1f MB", bytes / 1e6);
  }

  static String cut(String text, int most) {
    if (text.length() <= most) {
      return text;
    }
    int end = Character.isHighSurrogate(text.charAt(most - 1)) ? most - 1 : most;
    return text.substring(0, end) + "…";
  }

  /** The last part of a path. */
  static String fileName(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }
}
