package io.lakegen.jobs.run;

import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A job to run: a task, and its options together with those of {@link JobOptions}.
 *
 * <pre>{@code
 * JobSpec.of(new Embed())
 *     .with(JobOptions.INPUT, List.of("texts.parquet"))
 *     .with(JobOptions.MODEL, "all-MiniLM-L6-v2")
 *     .with(JobOptions.OUTPUT, "embeddings")
 * }</pre>
 */
public record JobSpec(TaskDefinition task, OptionValues options) {

  /** A job with every option at its default. */
  public static JobSpec of(TaskDefinition task) {
    return new JobSpec(task, OptionValues.NONE);
  }

  /** This job with another value for an option. */
  public <T> JobSpec with(Option<T> option, T value) {
    return new JobSpec(task, options.with(option, value));
  }

  /** This job with its task as it is with a pack. */
  JobSpec with(TaskDefinition known) {
    return new JobSpec(known, options);
  }

  <T> T get(Option<T> option) {
    return options.get(option);
  }

  /** The options that the task does not know of and that were given, as JSON can hold them. */
  Map<String, Object> givenOptions() {
    return options.canonical(
        JobOptions.of(task).stream().filter(options::has).collect(Collectors.toList()));
  }

  /** Every option of a task's job, in the order of help. */
  public static List<Option<?>> allOptions(TaskDefinition task) {
    List<Option<?>> all = new ArrayList<>(JobOptions.of(task));
    all.addAll(task.data().allOptions());
    return all;
  }
}
