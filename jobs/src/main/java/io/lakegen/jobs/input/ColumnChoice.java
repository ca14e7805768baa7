package io.lakegen.jobs.input;

import io.lakegen.problem.Problems;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;

/**
 * Which columns of the input go on, and under which names.
 *
 * @param select the only columns to keep; all if empty
 * @param drop columns to leave out
 * @param added columns that the job adds; an input column of such a name goes on with {@link
 *     #PREFIX} before it, and so does one that has that name already
 */
public record ColumnChoice(List<String> select, List<String> drop, List<String> added) {
  /** Marks a column of the input whose name the job needs itself. */
  static final String PREFIX = "input_";

  public ColumnChoice {
    select = List.copyOf(select);
    drop = List.copyOf(drop);
    added = List.copyOf(added);
  }

  /** Leaves everything as it is. */
  public static final ColumnChoice ALL = new ColumnChoice(List.of(), List.of(), List.of());

  /**
   * Looks for names that the input does not have.
   *
   * @param visible the input's columns
   * @param problems get each
   */
  void check(List<String> visible, Problems problems) {
    check("select", select, visible, problems);
    check("drop", drop, visible, problems);
    if (!select.isEmpty() && !drop.isEmpty()) {
      problems.add(
          "drop", String.join(", ", drop), "nothing beside --select, which drops the rest");
    }
  }

  private static void check(
      String option, List<String> names, List<String> visible, Problems problems) {
    for (String column : names) {
      if (!visible.contains(column)) {
        problems.add(
            option,
            column + " is not in the input",
            "some of " + visible + Problems.suggestion(column, visible));
      }
    }
  }

  boolean isKept(String column) {
    return (select.isEmpty() || select.contains(column)) && !drop.contains(column);
  }

  /**
   * New names of columns, by the old ones. Names that differ by case alone count as equal, since
   * most readers of Parquet do not tell them apart.
   *
   * @param columns that are kept
   * @param repeated columns whose value a result of the same name repeats
   */
  Map<String, String> renames(List<String> columns, List<String> repeated) {
    TreeSet<String> taken = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
    taken.addAll(added);
    Map<String, String> renames = new LinkedHashMap<>();
    // What gives way may need the name of another column, which gives way too.
    List<String> left = new ArrayList<>(columns);
    left.removeAll(repeated);
    boolean found = true;
    while (found) {
      found = false;
      for (String column : List.copyOf(left)) {
        if (taken.contains(column)) {
          String name = PREFIX + column.toLowerCase(Locale.ROOT);
          renames.put(column, name);
          taken.add(name);
          left.remove(column);
          found = true;
        }
      }
    }
    return renames;
  }
}
