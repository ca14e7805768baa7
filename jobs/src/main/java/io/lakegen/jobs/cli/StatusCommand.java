package io.lakegen.jobs.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.run.OutputStatus;
import java.io.PrintStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Prints what an output holds and what is left. */
@Command(
    name = "status",
    description = "Says what a job's output holds: runs, chunks, rows, errors, and what is left.",
    mixinStandardHelpOptions = true)
final class StatusCommand {
  @Parameters(paramLabel = "OUTPUT", description = "Folder of the results, on any file system.")
  private String output;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  String output() {
    return output;
  }

  void print(OutputStatus status, PrintStream out) throws JsonProcessingException {
    if (json) {
      out.println(new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(status));
    } else {
      status.lines().forEach(out::println);
    }
  }
}
