package io.lakegen.jobs.cli;

import io.lakegen.model.InvalidPackException;
import io.lakegen.model.PackInfo;
import io.lakegen.model.PackStore;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;

/** Model packs that lie on this machine already: what to say to somebody who named none. */
final class PacksAtHand {
  private final List<Path> folders;

  /**
   * @param folders that hold packs, the ones to prefer first; some may not be there
   */
  @SuppressWarnings("MissingSummary")
  PacksAtHand(List<Path> folders) {
    this.folders = folders;
  }

  /** Those of the build, the sample data, and this node's cache. */
  static PacksAtHand ofMachine() {
    List<Path> folders = new ArrayList<>();
    String home = System.getProperty("lakegen.home");
    if (home != null) {
      folders.add(Path.of(home, "jobs/target/packs"));
      folders.add(Path.of(home, "sample-data/models"));
    }
    folders.add(PackStore.ofNode().root());
    return new PacksAtHand(folders);
  }

  /**
   * Lines that say which packs a job can take and how.
   *
   * @param args of the command that named no model
   */
  List<String> lines(TaskDefinition task, List<String> args) {
    List<String> lines = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (Path folder : folders) {
      for (Path pack : packs(folder)) {
        PackInfo info = read(pack);
        if (info == null
            || task.data().packTasks().stream().noneMatch(info.spec().tasks()::contains)
            || !seen.add(info.sha256())) {
          continue;
        }
        lines.add(
            "  "
                + info.spec().source().id()
                + " ("
                + info.spec().dtype()
                + ", "
                + Math.max(1, Math.round(info.totalBytes() / 1e6))
                + " MB, "
                + info.spec().source().licence()
                + ")");
        lines.add("    " + command(task, args, shortest(pack)));
      }
    }
    if (lines.isEmpty()) {
      return List.of(
          "No pack for this job is on this machine. ./lakegen export makes one of a Hugging Face"
              + " or diffusers model.");
    }
    lines.add(0, "Packs for this job on this machine, each with the line to run:");
    return lines;
  }

  private static List<Path> packs(Path folder) {
    try (Stream<Path> children = Files.list(folder)) {
      return children.filter(p -> Files.isRegularFile(p.resolve("pack.json"))).sorted().toList();
    } catch (IOException e) {
      return List.of();
    }
  }

  private static PackInfo read(Path pack) {
    try {
      return PackStore.info(pack.toUri().toString(), new Configuration());
    } catch (IOException | InvalidPackException e) {
      // Not one to recommend.
      return null;
    }
  }

  private static Path shortest(Path pack) {
    Path here = Path.of("").toAbsolutePath();
    return pack.startsWith(here) ? here.relativize(pack) : pack;
  }

  private static String command(TaskDefinition task, List<String> args, Path pack) {
    StringBuilder line = new StringBuilder("./lakegen ").append(task.data().name());
    for (String arg : args) {
      line.append(' ')
          .append(arg.matches("[\\w@%+=:,./-]+") ? arg : "'" + arg.replace("'", "'\\''") + "'");
    }
    return line.append(" --model ").append(pack).toString();
  }
}
