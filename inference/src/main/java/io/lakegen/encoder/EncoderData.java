package io.lakegen.encoder;

import io.lakegen.task.Argument;
import io.lakegen.task.Argument.Kind;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.TaskData;
import java.util.List;

/** The definitions of tasks over encoders, whose batches depend on what they read. */
public final class EncoderData {
  private EncoderData() {}

  /**
   * The definition of a task.
   *
   * @param reads texts, images, or {@link Kind#TEXT_OR_IMAGE} before the model is known
   */
  public static TaskData of(
      Kind reads,
      String name,
      String description,
      List<String> packTasks,
      List<Argument> arguments,
      List<Option<?>> options) {
    boolean images = reads == Kind.IMAGE;
    Budget.Unit texts = TextEncoderTask.BUDGET;
    Budget.Unit either = reads == Kind.TEXT ? texts : texts.or(PictureTask.BUDGET);
    return new TaskData(
        name,
        description,
        packTasks,
        arguments,
        options,
        images ? PictureTask.BUDGET : either,
        images ? PictureTask.WINDOW_ROWS : TextEncoderTask.WINDOW_ROWS,
        images ? PictureTask.MIN_TASK_ROWS : TextEncoderTask.MIN_TASK_ROWS);
  }
}
