package io.lakegen.task;

import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import java.util.Optional;

/**
 * Everything that is known of a task before a model is loaded. The command line, configuration
 * files, help, output schema, digest of parameters and documentation are made of it. An
 * implementation has no state: two of one class are equal, so that what they open can be shared.
 */
public interface TaskDefinition extends Serializable {

  /** What does not depend on options. */
  TaskData data();

  /** The columns that it adds, the main one first. */
  List<Result> results(OptionValues options);

  /** Checks options together; each alone was checked before. */
  default void check(OptionValues options, Problems problems) {}

  /** The fewest options that a pack of one of the task's kinds runs with, where it needs any. */
  default OptionValues needed(PackSpec pack) {
    return OptionValues.NONE;
  }

  /** Checks whether a pack of one of the task's kinds can do what the options ask for. */
  default void check(OptionValues options, PackSpec pack, Problems problems) {}

  /**
   * The task as it is with a pack: what serves texts and images alike is for the one or the other
   * then. It has the same options.
   *
   * @param images whether the first argument is bound to images: to image files, or to a binary
   *     column
   */
  default TaskDefinition with(PackSpec pack, boolean images) {
    return this;
  }

  /** The columns that a run reads: by default those of the arguments that have one. */
  default List<Input> inputs(OptionValues options) {
    return data().arguments().stream()
        .filter(a -> options.get(a.column()) != null)
        .map(a -> new Input(a.name(), a.kind(), options.get(a.column()), a.column().name()))
        .toList();
  }

  /**
   * Rows that are worth a Spark task of their own where tasks run on CPU cores: {@link
   * TaskData#minTaskRows} unless this model's rows take longer.
   *
   * @throws IOException if the pack cannot be read
   */
  default int minTaskRows(OptionValues options, ModelPack model) throws IOException {
    return data().minTaskRows();
  }

  /**
   * The task on a loaded model, which stays the caller's to close. The options passed the checks.
   *
   * @param budget what the task, or whoever makes its batches, keeps to and lowers
   */
  Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget);

  /** What SQL calls the task. */
  default String function() {
    return "ai_" + data().name();
  }

  /** Output rows of every input row that has a result. */
  default int rowsPerInput(OptionValues options) {
    return 1;
  }

  /** Name of the column that numbers the output rows of one input row. */
  default Optional<String> indexColumn(OptionValues options) {
    return results(options).stream()
        .filter(r -> r.type() == Result.Type.INDEX)
        .map(Result::name)
        .findFirst();
  }
}
