package io.lakegen.jobs;

import io.lakegen.model.ModelPool;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.classic.SparkSession;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command line: {@code lakegen <job> [options]}. */
@Command(
    name = "lakegen",
    description = "Runs generative and encoder models over a data lake.",
    mixinStandardHelpOptions = true,
    version = "lakegen 0.1.0",
    subcommands = {
      CaptionCommand.class,
      ContactSheetCommand.class,
      EmbedCommand.class,
      GenerateCommand.class,
      NeighboursCommand.class,
      RenderCommand.class,
      TextsCommand.class
    })
public final class Main {
  static final int GOOD = 0;
  static final int FAILURE = 1;
  static final int WRONG_USE = 2;
  static final int ERROR_BUDGET_EXCEEDED = 3;

  private final PrintStream out;
  private final PrintStream err;

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
   * @return 0 good, 1 failure, 2 wrong use, 3 error budget exceeded
   */
  public static int run(String[] args, PrintStream out, PrintStream err) {
    return new Main(out, err).run(args);
  }

  private int run(String[] args) {
    CommandLine root = new CommandLine(this);
    root.setCaseInsensitiveEnumValuesAllowed(true);
    CommandLine job = args.length == 0 ? null : root.getSubcommands().get(args[0]);
    if (job == null) {
      return general(root, args);
    }
    // picocli gathers errors only for a command that it parses from the top.
    job = new CommandLine(job.getCommand()).setCaseInsensitiveEnumValuesAllowed(true);
    Problems problems = new Problems();
    List<String> jobArgs =
        ConfigFile.expand(
            job.getCommandSpec(), Arrays.asList(args).subList(1, args.length), problems);
    job.getCommandSpec().parser().collectErrors(true);
    ParseResult parsed = job.parseArgs(jobArgs.toArray(String[]::new));
    if (parsed.isUsageHelpRequested()) {
      job.usage(out);
      return GOOD;
    }
    parsed.errors().forEach(e -> problems.add(words(e)));
    if (job.getCommand() instanceof DemoCommand demo) {
      return problems.isEmpty() ? show(demo, args[0]) : wrongUse(job, problems.messages());
    }
    return run(job, problems);
  }

  private int show(DemoCommand demo, String name) {
    try {
      return demo.print(session(name), out);
    } catch (IOException e) {
      err.println("lakegen " + name + ": failed: " + e);
      return FAILURE;
    }
  }

  private int general(CommandLine root, String[] args) {
    if (args.length == 1 && (args[0].equals("--version") || args[0].equals("-V"))) {
      root.printVersionHelp(out);
      return GOOD;
    }
    boolean help = args.length == 1 && (args[0].equals("--help") || args[0].equals("-h"));
    if (!help) {
      List<String> jobs =
          root.getSubcommands().keySet().stream().filter(n -> !n.startsWith("demo-")).toList();
      err.println(
          args.length == 0
              ? "lakegen: no job (expected: one of " + jobs + ")"
              : "lakegen: "
                  + args[0]
                  + ": unknown job (expected: one of "
                  + jobs
                  + TextColumn.suggestion(args[0], jobs)
                  + ")");
    }
    root.usage(help ? out : err);
    return help ? GOOD : WRONG_USE;
  }

  private int run(CommandLine command, Problems problems) {
    JobCommand jobCommand = command.getCommand();
    boolean ownSession = SparkSession.getDefaultSession().isEmpty();
    SparkSession spark = session(jobCommand.name());
    try {
      Job job = jobCommand.check(spark, problems);
      if (jobCommand.common.dryRun) {
        describe(job);
        return GOOD;
      }
      RunSummary summary =
          new JobRunner(spark, err, Boolean.getBoolean("lakegen.terminal")).run(job);
      return report(job, summary);
    } catch (UsageException e) {
      return wrongUse(command, List.of(e.getMessage()));
    } catch (Exception e) {
      Throwable cause = rootCause(e);
      err.println(
          "lakegen "
              + jobCommand.name()
              + ": failed: "
              + cause.getClass().getSimpleName()
              + ": "
              + cause.getMessage());
      org.slf4j.LoggerFactory.getLogger(Main.class).debug("the job failed", e);
      return FAILURE;
    } finally {
      if (ownSession) {
        spark.stop();
        ModelPool.closeAll();
      }
    }
  }

  private static SparkSession session(String job) {
    SparkConf conf = new SparkConf();
    conf.setIfMissing("spark.master", "local[*]");
    conf.setIfMissing("spark.app.name", "lakegen " + job);
    conf.setIfMissing("spark.ui.showConsoleProgress", "false");
    // The counts of running tasks come with the heartbeats.
    conf.setIfMissing("spark.executor.heartbeatInterval", "2s");
    conf.setIfMissing("spark.executorEnv.MALLOC_ARENA_MAX", "2");
    if (conf.get("spark.master").startsWith("local")) {
      conf.setIfMissing("spark.ui.enabled", "false");
    }
    return SparkSession.builder().config(conf).getOrCreate();
  }

  private void describe(Job job) {
    out.println("lakegen " + job.name() + " would");
    out.println("  read   " + job.options().input + " with columns " + job.outputColumns());
    out.println(
        "  run    "
            + job.pack().spec().source().id()
            + " on device "
            + job.options().device
            + " with "
            + job.params());
    out.println("  add    " + List.of(job.task().columns().fieldNames()) + ", error, lineage");
    out.println("  write  " + job.output().root());
  }

  private int report(Job job, RunSummary summary) {
    out.println("lakegen " + job.name() + ": " + job.output().root());
    summary.lines().forEach(line -> out.println("  " + line));
    if (summary.errorRate() > job.options().maxErrorRate) {
      err.printf(
          "lakegen %s: error rate %.4f (expected: at most %s, see --max-error-rate); the rows are committed%n",
          job.name(), summary.errorRate(), job.options().maxErrorRate);
      return ERROR_BUDGET_EXCEEDED;
    }
    return GOOD;
  }

  private int wrongUse(CommandLine command, List<String> problems) {
    err.println("lakegen " + command.getCommandName() + ": wrong use");
    problems.forEach(p -> err.println("  " + p));
    err.println("See lakegen " + command.getCommandName() + " --help");
    return WRONG_USE;
  }

  private static String words(Exception error) {
    if (error instanceof UnmatchedArgumentException unmatched) {
      List<String> known =
          List.copyOf(unmatched.getCommandLine().getCommandSpec().optionsMap().keySet());
      return String.join(
          "; ",
          unmatched.getUnmatched().stream()
              .filter(a -> a.startsWith("-") || !unmatched.getUnmatched().get(0).startsWith("-"))
              .map(
                  a ->
                      a
                          + ": unknown option (expected: an option of --help"
                          + TextColumn.suggestion(a.replaceAll("=.*", ""), known)
                          + ")")
              .toList());
    }
    return error.getMessage();
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
