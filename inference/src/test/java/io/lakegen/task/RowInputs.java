package io.lakegen.task;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Rows for tests of tasks. */
public final class RowInputs {
  private static final long SEED = 5;

  private RowInputs() {}

  /** A row of one text. */
  public static RowInput of(String name, String text) {
    return of(SEED, name, text);
  }

  /**
   * A row.
   *
   * @param inputs names and values in turns; a value is null, bytes, or becomes a text
   */
  public static RowInput of(long seed, Object... inputs) {
    List<String> names = new ArrayList<>();
    byte[][] values = new byte[inputs.length / 2][];
    for (int i = 0; i < values.length; i++) {
      names.add((String) inputs[2 * i]);
      Object value = inputs[2 * i + 1];
      values[i] =
          value == null || value instanceof byte[]
              ? (byte[]) value
              : value.toString().getBytes(StandardCharsets.UTF_8);
    }
    return RowInput.of(names, values, seed);
  }
}
