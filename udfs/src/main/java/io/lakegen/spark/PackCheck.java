package io.lakegen.spark;

import io.lakegen.model.InvalidPackException;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackSpec;
import io.lakegen.model.PackStore;
import io.lakegen.problem.Problem;
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

  /**
   * The task for a fetched pack and what its column holds, see {@link TaskDefinition#with}, with
   * the options checked once more: what fits a model may not fit one of the things it reads.
   *
   * @param problems get what was not among them
   */
  public static TaskDefinition known(
      TaskDefinition task, OptionValues options, PackSpec pack, boolean images, Problems problems) {
    TaskDefinition known = task.with(pack, images);
    Problems found = new Problems();
    known.check(options, pack, found);
    for (Problem problem : found.list()) {
      if (!problems.list().contains(problem)) {
        problems.add(problem.key(), problem.found(), problem.expected());
      }
    }
    return known;
  }
}
