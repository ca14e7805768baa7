package io.lakegen.jobs.cli;

import io.lakegen.jobs.run.JobSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command of a task's job. */
final class JobCommand {
  static final Option<String> CONFIG =
      Option.ofText(
          "config",
          null,
          "FILE",
          "YAML file with any of these options, without the dashes. The command line wins.");

  static final Option<Boolean> VERBOSE =
      Option.flag("verbose", "Say where the time went, and print Spark's own log.");

  /** Options of the command line alone. */
  static final List<Option<?>> COMMAND_LINE = List.of(CONFIG, VERBOSE);

  private final TaskDefinition task;
  private final List<Option<?>> options;
  private boolean verbose;

  JobCommand(TaskDefinition task) {
    this.task = task;
    this.options = JobSpec.allOptions(task);
  }

  /** The command as picocli knows it. */
  CommandSpec spec() {
    String columns =
        task.results(OptionValues.NONE).stream()
            .map(Result::name)
            .collect(Collectors.joining(", "));
    CommandSpec spec = CommandSpec.create().name(task.data().name());
    COMMAND_LINE.forEach(o -> spec.addOption(option(o)));
    options.forEach(o -> spec.addOption(option(o)));
    spec.addOption(
        OptionSpec.builder("-h", "--help")
            .usageHelp(true)
            .description("Show this help message and exit.")
            .build());
    spec.usageMessage()
        .description(escaped(task.data().description()), "Adds the columns " + columns + ".")
        .sortOptions(false);
    spec.parser().collectErrors(true);
    return spec;
  }

  /** All values are texts here: an {@link Option} reads those of YAML and SQL as well. */
  private static OptionSpec option(Option<?> option) {
    OptionSpec.Builder builder =
        OptionSpec.builder("--" + option.name()).description(escaped(option.help()));
    return switch (option.form()) {
      case FLAG -> builder.arity("0").type(boolean.class).build();
      case ONE -> builder.paramLabel(option.type().label()).arity("1").type(String.class).build();
      case MANY ->
          builder
              .paramLabel(option.type().label())
              .arity("1")
              .type(List.class)
              .auxiliaryTypes(String.class)
              .build();
    };
  }

  private static String escaped(String text) {
    return text.replace("%", "%%");
  }

  /**
   * The job that a command line asks for.
   *
   * @param problems get everything that is wrong with the command line and its configuration file
   */
  JobSpec parse(ParseResult parsed, Problems problems) {
    parsed.errors().forEach(e -> report(e, problems));
    Map<String, Object> raw = new LinkedHashMap<>();
    for (OptionSpec option : parsed.matchedOptions()) {
      String name = option.longestName().substring(2);
      List<String> values = option.originalStringValues();
      if (option.arity().max() == 0) {
        raw.put(name, true);
      } else if (!values.isEmpty()) {
        // Without a value there is picocli's error.
        raw.put(name, option.isMultiValue() ? values : values.get(0));
      }
    }
    Object config = raw.remove(CONFIG.name());
    verbose = raw.remove(VERBOSE.name()) != null;
    OptionValues values = OptionValues.parse(options, raw, problems);
    if (config != null) {
      String file = config.toString();
      Problems inFile = new Problems();
      OptionValues ofFile = OptionValues.parse(options, ConfigFile.read(file, problems), inFile);
      problems.addAll(file, inFile.list());
      values = ofFile.and(values);
    }
    return new JobSpec(task, values);
  }

  /** Whether the command line that was {@linkplain #parse parsed} wants to know more. */
  boolean isVerbose() {
    return verbose;
  }

  private static void report(Exception error, Problems problems) {
    if (error instanceof UnmatchedArgumentException unmatched) {
      List<String> arguments = unmatched.getUnmatched();
      CommandLine command = unmatched.getCommandLine();
      List<String> known = new ArrayList<>(command.getCommandSpec().optionsMap().keySet());
      for (String argument : arguments) {
        // What follows an unknown option is most likely its value.
        if (argument.startsWith("-") || !arguments.get(0).startsWith("-")) {
          String name = argument.replaceAll("=.*", "");
          problems.add(
              argument, "unknown option", "an option of --help" + Problems.suggestion(name, known));
        }
      }
    } else if (error instanceof MissingParameterException missing) {
      missing
          .getMissing()
          .forEach(a -> problems.add(((OptionSpec) a).longestName(), "no value", "one"));
    } else {
      problems.add("command line", error.getMessage(), "as --help says");
    }
  }
}
