package io.lakegen.task;

import java.util.ArrayList;
import java.util.List;

/**
 * What of a task's definition does not depend on a run's options.
 *
 * @param name what the command line calls it
 * @param description what it does, in sentences
 * @param packTasks tasks of {@code pack.json} that it can use
 * @param arguments what it reads of every row; the first names the lines of a text file
 * @param options those that shape its results, besides its arguments' columns
 * @param budget what its budget counts
 * @param windowRows most rows that are sorted together
 * @param minTaskRows rows that are worth a Spark task, and a device, of their own; fewer stay
 *     together. {@link TaskDefinition#minTaskRows} may ask for fewer
 */
public record TaskData(
    String name,
    String description,
    List<String> packTasks,
    List<Argument> arguments,
    List<Option<?>> options,
    Budget.Unit budget,
    int windowRows,
    int minTaskRows) {
  public TaskData {
    packTasks = List.copyOf(packTasks);
    arguments = List.copyOf(arguments);
    options = List.copyOf(options);
  }

  /** All options: the arguments' columns and the task's own. */
  public List<Option<?>> allOptions() {
    List<Option<?>> all = new ArrayList<>();
    arguments.forEach(a -> all.add(a.column()));
    all.addAll(options);
    return all;
  }
}
