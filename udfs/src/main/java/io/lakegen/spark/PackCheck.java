package io.lakegen.spark;

import io.lakegen.model.InvalidPackException;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;

/** Finds out on the driver whether a pack can do what a run asks for. */
public final class PackCheck {
  private static final String MODEL = "model";

  private PackCheck() {}

  /**
   * Fetches a pack and checks it.
   *
   * @param options passed the checks that need no pack
   * @param problems get what is wrong
   * @return empty if it cannot be read or is for other tasks
   */
  public static Optional<ModelPack> fetch(
      TaskDefinition task,
      OptionValues options,
      String uri,
      Configuration conf,
      Problems problems) {
    try {
      ModelPack pack = PackStore.ofNode().fetch(uri, conf);
      if (task.data().packTasks().stream().anyMatch(pack.spec().tasks()::contains)) {
        task.check(options, pack.spec(), problems);
        return Optional.of(pack);
      }
      problems.add(
          MODEL,
          uri + " is a pack for " + String.join(", ", pack.spec().tasks()),
          "a pack for " + task.data().packTasks());
    } catch (InvalidPackException e) {
      problems.addAll(MODEL + " " + uri, e.problems());
    } catch (IOException | IllegalArgumentException e) {
      problems.add(
          MODEL, uri, "a readable folder; " + e.getClass().getSimpleName() + ": " + e.getMessage());
    }
    return Optional.empty();
  }
}
