package io.lakegen.jobs.cli;

import io.lakegen.Tasks;
import io.lakegen.Versions;
import io.lakegen.jobs.run.Job;
import io.lakegen.jobs.run.JobOptions;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.jobs.run.Jobs;
import io.lakegen.jobs.run.ObjectStores;
import io.lakegen.jobs.run.OutputStatus;
import io.lakegen.jobs.run.RunSummary;
import io.lakegen.jobs.run.Terminal;
import io.lakegen.model.EngineVersions;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.spark.LakegenPlugin;
import io.lakegen.spark.LocalPreload;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.SparkSession;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParseResult;

/** The command line: {@code lakegen <job> [options]}. */
public final class Main {
  static final int GOOD = 0;
  static final int FAILURE = 1;
  static final int INVALID_ARGUMENTS = 2;
  static final int ERROR_BUDGET_EXCEEDED = 3;

  private static final String DEFAULT_MASTER = "local[*]";

  private final PrintStream out;
  private final PrintStream err;
  private final Phases phases = new Phases();

  private Main(PrintStream out, PrintStream err) {
    this.out = out;
    this.err = err;
  }

  /** Runs a job and ends the JVM with its exit status. */
  public static void main(String[] args) {
    System.exit(run(args, System.out, System.err));
  }

  /**
   * Runs a job in this JVM, in a Spark session that is made if there is none.
   *
   * @return 0 good, 1 failure, 2 invalid arguments, 3 error budget exceeded
   */
  public static int run(String[] args, PrintStream out, PrintStream err) {
    return new Main(out, err).run(Arrays.asList(args));
  }

  private int run(List<String> args) {
    Optional<TaskDefinition> task = args.isEmpty() ? Optional.empty() : Tasks.named(args.get(0));
    if (task.isPresent()) {
      return job(task.get(), args.subList(1, args.size()));
    }
    Optional<Tool> tool =
        args.isEmpty()
            ? Optional.empty()
            : tools().stream().filter(t -> t.name().equals(args.get(0))).findFirst();
    return tool.isPresent() ? run(tool.get(), args.subList(1, args.size())) : general(args);
  }

  /** A command that is no job. */
  private record Tool(CommandLine commandLine, Action action) {
    /** What it does, with a session if it wants one. */
    private interface Action {
      int run(Supplier<SparkSession> spark) throws IOException;
    }

    String name() {
      return commandLine.getCommandName();
    }
  }

  private List<Tool> tools() {
    StatusCommand status = new StatusCommand();
    ShowCommand show = new ShowCommand();
    PackCommand pack = new PackCommand();
    DoctorCommand doctor = new DoctorCommand();
    return List.of(
        new Tool(
            new CommandLine(status),
            spark -> {
              status.print(OutputStatus.of(spark.get(), status.output()), out);
              return GOOD;
            }),
        new Tool(
            new CommandLine(show),
            spark -> {
              show.run(spark.get(), out, Terminal.columns());
              return GOOD;
            }),
        new Tool(new CommandLine(pack), spark -> pack.run(out) ? GOOD : FAILURE),
        new Tool(
            new CommandLine(doctor), spark -> doctor.examine(spark.get(), out) ? GOOD : FAILURE));
  }

  private int run(Tool tool, List<String> args) {
    try {
      if (tool.commandLine().parseArgs(args.toArray(String[]::new)).isUsageHelpRequested()) {
        tool.commandLine().usage(out);
        return GOOD;
      }
    } catch (CommandLine.ParameterException e) {
      err.println("lakegen " + tool.name() + ": " + e.getMessage());
      return INVALID_ARGUMENTS;
    }
    Logs.configure(false);
    boolean ownSession = SparkSession.getDefaultSession().isEmpty();
    try {
      return tool.action().run(() -> session(tool.name()));
    } catch (InvalidArgumentsException e) {
      return invalid(tool.name(), e.problems());
    } catch (IOException e) {
      err.println("lakegen " + tool.name() + ": failed: " + e.getMessage());
      return FAILURE;
    } finally {
      if (ownSession && SparkSession.getDefaultSession().isDefined()) {
        SparkSession.getDefaultSession().get().stop();
        ExecutorModels.close();
      }
    }
  }

  private int general(List<String> args) {
    CommandLine root =
        new CommandLine(CommandSpec.create().name("lakegen").mixinStandardHelpOptions(true));
    root.getCommandSpec()
        .usageMessage()
        .description("Runs generative and encoder models over a data lake.");
    Tasks.ALL.forEach(t -> root.addSubcommand(t.data().name(), new JobCommand(t).spec()));
    tools().forEach(t -> root.addSubcommand(t.name(), t.commandLine()));
    if (args.equals(List.of("--version")) || args.equals(List.of("-V"))) {
      versions().forEach(out::println);
      return GOOD;
    }
    if (args.equals(List.of("--help")) || args.equals(List.of("-h"))) {
      root.usage(out);
      return GOOD;
    }
    List<String> jobs = Tasks.ALL.stream().map(t -> t.data().name()).toList();
    err.println(
        args.isEmpty()
            ? "lakegen: no job (expected: one of " + jobs + ")"
            : "lakegen: "
                + args.get(0)
                + ": unknown job (expected: one of "
                + jobs
                + Problems.suggestion(args.get(0), jobs)
                + ")");
    root.usage(err);
    return INVALID_ARGUMENTS;
  }

  private static List<String> versions() {
    List<String> lines = new ArrayList<>();
    lines.add("lakegen " + Versions.LAKEGEN);
    lines.add("Spark " + org.apache.spark.package$.MODULE$.SPARK_VERSION());
    lines.add("DJL " + Versions.DJL);
    EngineVersions.read().forEach((engine, version) -> lines.add(engine + " " + version));
    lines.add("Java " + Runtime.version());
    return lines;
  }

  private int job(TaskDefinition task, List<String> args) {
    JobCommand command = new JobCommand(task);
    CommandLine commandLine = new CommandLine(command.spec());
    ParseResult parsed = commandLine.parseArgs(args.toArray(String[]::new));
    if (parsed.isUsageHelpRequested()) {
      commandLine.usage(out);
      return GOOD;
    }
    Problems problems = new Problems();
    JobSpec spec = command.parse(parsed, problems);
    Logs.configure(command.isVerbose());
    phases.done("command line");
    boolean ownSession = SparkSession.getDefaultSession().isEmpty();
    Optional<LocalPreload> preload = ownSession ? loadAhead(spec) : Optional.empty();
    SparkSession spark = session(task.data().name(), spec.options());
    phases.done("Spark's start");
    int status = FAILURE;
    try {
      Job job = Jobs.check(spark, spec, problems);
      phases.done("checks");
      if (spec.options().get(JobOptions.DRY_RUN)) {
        describe(job);
        status = GOOD;
      } else {
        status = report(job, Jobs.run(spark, job, err));
      }
    } catch (InvalidArgumentsException e) {
      status = invalid(task.data().name(), e.problems());
      if (spec.options().get(JobOptions.MODEL) == null) {
        PacksAtHand.ofMachine().lines(task, args).forEach(err::println);
      }
    } catch (Exception e) {
      Throwable cause = rootCause(e);
      err.println(
          "lakegen "
              + task.data().name()
              + ": failed: "
              + cause.getClass().getSimpleName()
              + ": "
              + cause.getMessage());
      LoggerFactory.getLogger(Main.class).debug("the job failed", e);
    } finally {
      phases.done("run");
      if (ownSession) {
        spark.stop();
        if (status != INVALID_ARGUMENTS) {
          // A mistake is told at once, whatever a large model still needs.
          close(preload);
        }
        phases.done("stop");
      }
      if (command.isVerbose()) {
        phases.print(err);
      }
    }
    return status;
  }

  /** Only with the embedded Spark's own settings is it known beforehand what a task will have. */
  private static Optional<LocalPreload> loadAhead(JobSpec spec) {
    String model = spec.options().get(JobOptions.MODEL);
    SparkConf conf = new SparkConf();
    boolean isDefault =
        conf.get("spark.master", DEFAULT_MASTER).equals(DEFAULT_MASTER)
            && !conf.contains("spark.task.cpus")
            && !conf.contains("spark.default.parallelism");
    return model == null || spec.options().get(JobOptions.DRY_RUN) || !isDefault
        ? Optional.empty()
        : Optional.of(
            LocalPreload.start(spec.task(), model, spec.options().get(JobOptions.DEVICE), 1));
  }

  private static void close(Optional<LocalPreload> preload) {
    try {
      if (preload.isPresent()) {
        preload.get().join();
      }
      ExecutorModels.close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static SparkSession session(String job) {
    return session(job, OptionValues.NONE);
  }

  private static SparkSession session(String job, OptionValues options) {
    SparkConf conf = new SparkConf();
    conf.setIfMissing("spark.master", DEFAULT_MASTER);
    conf.setIfMissing("spark.app.name", "lakegen " + job);
    conf.setIfMissing("spark.ui.showConsoleProgress", "false");
    // The counts of running tasks come with the heartbeats.
    conf.setIfMissing("spark.executor.heartbeatInterval", "2s");
    // One for each core: with fewer, threads that tokenise wait for each other.
    int arenas = Math.max(2, conf.getInt("spark.executor.cores", 16));
    conf.setIfMissing("spark.executorEnv.MALLOC_ARENA_MAX", Integer.toString(arenas));
    conf.setIfMissing("spark.plugins", LakegenPlugin.class.getName());
    RetryDefaults.set(conf);
    GpuDefaults.set(conf);
    preload(options, conf);
    if (conf.get("spark.master").startsWith("local")) {
      conf.setIfMissing("spark.ui.enabled", "false");
    }
    ObjectStores.configure(conf);
    return SparkSession.builder().config(conf).getOrCreate();
  }

  /**
   * Executors of clusters load the pack as they start; in local mode {@link LocalPreload} does it
   * sooner.
   */
  private static void preload(OptionValues options, SparkConf conf) {
    String model = options.get(JobOptions.MODEL);
    if (model != null
        && !options.get(JobOptions.DRY_RUN)
        && !RetryDefaults.isLocal(conf.get("spark.master"))) {
      conf.set(LakegenPlugin.PRELOAD, model);
      conf.set(LakegenPlugin.PRELOAD_DEVICE, options.get(JobOptions.DEVICE).name());
    }
  }

  private void describe(Job job) {
    JobSpec spec = job.spec();
    List<String> results = spec.task().results(spec.options()).stream().map(Result::name).toList();
    out.println("lakegen " + spec.task().data().name() + " would");
    out.println(
        "  read   "
            + job.files().count()
            + " files of "
            + spec.options().get(JobOptions.INPUT)
            + ", "
            + job.files().left().size()
            + " of them not done yet, with columns "
            + job.outputColumns());
    out.println(
        "  run    "
            + job.pack().spec().source().id()
            + " on device "
            + spec.options().get(JobOptions.DEVICE)
            + " with "
            + job.params());
    out.println("  add    " + results + ", error, lineage");
    out.println("  write  " + job.output().root());
  }

  private int report(Job job, RunSummary summary) {
    String name = job.spec().task().data().name();
    out.println("lakegen " + name + ": " + job.output().root());
    summary.lines().forEach(line -> out.println("  " + line));
    double most = job.spec().options().get(JobOptions.MAX_ERROR_RATE);
    if (summary.errorRate() > most) {
      err.printf(
          "lakegen %s: error rate %.4f (expected: at most %s, see --max-error-rate); the rows are"
              + " committed%n",
          name, summary.errorRate(), most);
      return ERROR_BUDGET_EXCEEDED;
    }
    return GOOD;
  }

  private int invalid(String job, List<Problem> problems) {
    err.println("lakegen " + job + ": invalid arguments");
    problems.forEach(p -> err.println("  " + p));
    err.println("See lakegen " + job + " --help");
    return INVALID_ARGUMENTS;
  }

  /** Spark wraps what happened on an executor several times over. */
  private static Throwable rootCause(Throwable failure) {
    Throwable cause = failure;
    while (cause.getCause() != null && cause.getCause() != cause) {
      cause = cause.getCause();
    }
    return cause;
  }
}
