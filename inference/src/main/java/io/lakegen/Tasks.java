package io.lakegen;

import io.lakegen.task.TaskDefinition;
import io.lakegen.task.answer.Answer;
import io.lakegen.task.caption.Caption;
import io.lakegen.task.classify.Classify;
import io.lakegen.task.decode.Decode;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.encode.Encode;
import io.lakegen.task.frames.NextFrame;
import io.lakegen.task.generate.Generate;
import io.lakegen.task.match.Match;
import io.lakegen.task.render.Render;
import io.lakegen.task.sample.Sample;
import java.util.List;
import java.util.Optional;

/** Every task there is: the one place that lists them. */
public final class Tasks {
  /** In the order of help. */
  public static final List<TaskDefinition> ALL =
      List.of(
          new Embed(),
          new Classify(),
          new Answer(),
          new Match(),
          new Generate(),
          new Caption(),
          new Render(),
          new Encode(),
          new Decode(),
          new Sample(),
          new NextFrame());

  private Tasks() {}

  /** The task of a name. */
  public static Optional<TaskDefinition> named(String name) {
    return ALL.stream().filter(t -> t.data().name().equals(name)).findFirst();
  }
}
