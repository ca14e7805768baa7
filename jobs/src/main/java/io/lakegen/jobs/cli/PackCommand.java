package io.lakegen.jobs.cli;

import ai.djl.Device;
import io.lakegen.Tasks;
import io.lakegen.model.Devices;
import io.lakegen.model.InvalidPackException;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackInfo;
import io.lakegen.model.PackSpec;
import io.lakegen.model.PackStore;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Says what a model pack is, and whether this machine computes with it as it should. */
@Command(
    name = "pack",
    description = {
      "info says what a model pack is: source, licence, tasks, sizes, digests.",
      "check fetches it, compares every digest, loads it on this machine's device and runs its"
          + " golden inputs: the answers must be those of the reference implementation."
    },
    mixinStandardHelpOptions = true)
final class PackCommand {
  /** What to do with a pack. */
  enum Verb {
    info,
    check
  }

  @Parameters(index = "0", paramLabel = "info|check", description = "What to do.")
  private Verb verb;

  @Parameters(
      index = "1",
      paramLabel = "PACK",
      description = "Folder of the pack, on any file system.")
  private String pack;

  @Option(names = "--device", paramLabel = "DEVICE", description = "For check: auto, cpu or gpu.")
  private Devices.Choice device = Devices.Choice.auto;

  /**
   * Does it.
   *
   * @return whether nothing is wrong
   * @throws InvalidArgumentsException if it is no pack
   */
  boolean run(PrintStream out) throws IOException {
    Configuration conf = new Configuration();
    PackInfo info;
    try {
      info = PackStore.info(pack, conf);
    } catch (InvalidPackException e) {
      throw new InvalidArgumentsException(e.problems());
    } catch (IOException | IllegalArgumentException e) {
      throw new InvalidArgumentsException(
          List.of(new Problem("pack", pack, "a readable folder; " + e.getMessage())));
    }
    describe(info, out);
    return verb == Verb.info || check(conf, out);
  }

  private void describe(PackInfo info, PrintStream out) {
    PackSpec spec = info.spec();
    out.println(pack + ": " + spec.source().id());
    line(out, "revision", spec.source().revision());
    line(out, "licence", spec.source().licence());
    line(out, "model", spec.family() + ", " + spec.dtype() + ", runs in " + spec.engine());
    for (String task : spec.tasks().stream().sorted().toList()) {
      String jobs =
          jobs(spec).stream()
              .filter(t -> t.data().packTasks().contains(task))
              .map(t -> "lakegen " + t.data().name())
              .collect(Collectors.joining(", "));
      line(out, "task", task + (jobs.isEmpty() ? ": no job of this version" : ": " + jobs));
    }
    spec.tokenizer().ifPresent(t -> line(out, "texts", "up to " + t.maxLength() + " tokens"));
    spec.image().ifPresent(i -> line(out, "images", i.width() + " × " + i.height() + " pixels"));
    line(out, "sha256", info.sha256());
    line(out, "size", size(info.totalBytes()) + " in " + info.bytes().size() + " files");
    Map<String, String> roles = new TreeMap<>();
    spec.graphs().forEach((role, file) -> roles.merge(file, role, (a, b) -> a + ", " + b));
    info.bytes()
        .forEach(
            (file, bytes) ->
                out.printf(
                    Locale.ROOT,
                    "    %-28s %12s  %-16s %s%n",
                    file,
                    bytes < 0 ? "MISSING" : size(bytes),
                    roles.containsKey(file) ? "graph " + roles.get(file) : "",
                    spec.sha256().getOrDefault(file, "")));
  }

  private static void line(PrintStream out, String name, String value) {
    out.printf("  %-10s %s%n", name, value);
  }

  private static String size(long bytes) {
    return bytes < 1_000_000
        ? String.format(Locale.ROOT, "%,.1f kB", bytes / 1e3)
        : String.format(Locale.ROOT, "%,.1f MB", bytes / 1e6);
  }

  private static List<TaskDefinition> jobs(PackSpec spec) {
    return Tasks.ALL.stream()
        .filter(t -> t.data().packTasks().stream().anyMatch(spec.tasks()::contains))
        .toList();
  }

  private boolean check(Configuration conf, PrintStream out) throws IOException {
    long start = System.nanoTime();
    try {
      ModelPack fetched = PackStore.ofNode().fetch(pack, conf);
      passed(
          out, "digests", fetched.spec().sha256().size() + " files are as pack.json says", start);
      int threads = Runtime.getRuntime().availableProcessors();
      Device chosen = Devices.resolve(device, List.of(), fetched.spec().engine(), threads);
      start = System.nanoTime();
      try (LoadedModel model = LoadedModel.load(fetched, chosen, threads)) {
        passed(out, "golden", "graphs and tokenizer answer as the reference on " + chosen, start);
        return checkTasks(model, out);
      }
    } catch (InvalidPackException e) {
      return failed(out, e.problems());
    } catch (InvalidArgumentsException e) {
      return failed(out, e.problems());
    }
  }

  /** What tasks make of the graphs' answers, pooling say, has golden values of its own. */
  private static boolean checkTasks(LoadedModel model, PrintStream out) throws IOException {
    boolean good = true;
    for (TaskDefinition task : jobs(model.pack().spec())) {
      long start = System.nanoTime();
      Problems problems = new Problems();
      OptionValues options = task.needed(model.pack().spec());
      task.check(options, model.pack().spec(), problems);
      if (!problems.isEmpty()) {
        good = failed(out, problems.list());
        continue;
      }
      Budget budget = new Budget(task.data().budget().on(model.device()));
      try {
        task.open(model, options, budget).check();
        passed(out, task.data().name(), "opens, and answers as the reference", start);
      } catch (InvalidPackException e) {
        good = failed(out, e.problems());
      }
    }
    return good;
  }

  private static void passed(PrintStream out, String name, String what, long start) {
    out.printf(Locale.ROOT, "  %-10s %s (%.1f s)%n", name, what, (System.nanoTime() - start) / 1e9);
  }

  private static boolean failed(PrintStream out, List<Problem> problems) {
    out.println("Wrong:");
    problems.forEach(p -> out.println("  " + p));
    return false;
  }
}
