package io.lakegen.jobs;

import io.lakegen.model.Devices;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** Options of every job. */
final class CommonOptions {
  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "YAML file with options by their long names, without the dashes. Options of the command line win.")
  String config;

  @Option(
      names = "--input",
      paramLabel = "URI",
      description = "File, folder or glob on any Hadoop file system. May be given more than once.")
  List<String> input = new ArrayList<>();

  @Option(names = "--output", paramLabel = "URI", description = "Folder for the results.")
  String output;

  @Option(names = "--model", paramLabel = "URI", description = "Folder of the model pack.")
  String model;

  @Option(
      names = "--input-format",
      paramLabel = "FORMAT",
      description = "One of ${COMPLETION-CANDIDATES}; default: from the files' names.")
  InputFormat inputFormat;

  @Option(
      names = "--column",
      paramLabel = "NAME",
      description =
          "Input column that the model reads (default: ${DEFAULT-VALUE}). The lines of a text file get this name.")
  String column = "text";

  @Option(
      names = "--device",
      description =
          "One of ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}). auto takes a GPU where there is one.")
  Devices.Choice device = Devices.Choice.auto;

  @Option(
      names = "--batch-budget",
      paramLabel = "N",
      description =
          "Most tokens (pictures: pixels) in one batch, padding counted; default: fits the device. Shrinks by itself when"
              + " memory runs out.")
  Long batchBudget;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "With a row's key it makes the row's seed (default: ${DEFAULT-VALUE}).")
  long seed;

  @Option(names = "--limit", paramLabel = "N", description = "Process the first N rows only.")
  Integer limit;

  @Option(
      names = "--max-error-rate",
      paramLabel = "RATE",
      description =
          "Share of error rows, 0 to 1, above which the exit status is 3 (default: ${DEFAULT-VALUE}). The rows are written"
              + " all the same.")
  double maxErrorRate = 0.1;

  @Option(names = "--dry-run", description = "Check everything, say what would be done, and stop.")
  boolean dryRun;
}
