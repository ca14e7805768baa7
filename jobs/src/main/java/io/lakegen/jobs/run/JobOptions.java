package io.lakegen.jobs.run;

import io.lakegen.jobs.input.InputFormat;
import io.lakegen.model.Devices;
import io.lakegen.spark.ScorerOptions;
import io.lakegen.task.Argument;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.TaskDefinition;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** The options that jobs have in common. They say where and how to work, but for the seed. */
public final class JobOptions {
  public static final Option<List<String>> INPUT =
      Option.ofTexts("input", "URI", "File, folder or glob on any Hadoop file system.");

  public static final Option<String> INPUT_TABLE =
      Option.ofText(
          "input-table",
          null,
          "NAME",
          "In place of --input: a table of the session's catalogue that is kept in Parquet files.");

  public static final Option<InputFormat> INPUT_FORMAT =
      Option.ofEnum("input-format", InputFormat.class, null, "FORMAT", "Format of the input.")
          .defaultsTo("from the files' names");

  public static final Option<List<String>> SELECT =
      Option.ofTexts(
          "select",
          "NAME",
          "Input column to read; the others are left out of the output and of the rows' keys."
              + " Default: all.");

  public static final Option<List<String>> DROP =
      Option.ofTexts(
          "drop", "NAME", "Input column to leave out of the output and of the rows' keys.");

  public static final Option<String> MODEL =
      Option.ofText("model", null, "URI", "Folder of the model pack.");

  public static final Option<String> OUTPUT =
      Option.ofText(
          "output",
          null,
          "URI",
          "Folder for the results: good rows in run_id=ID/chunk=N/*.parquet, error rows in"
              + " _errors.");

  public static final Option<Mode> MODE =
      Option.ofEnum(
          "mode",
          Mode.class,
          Mode.resume,
          "MODE",
          "resume leaves the rows that the output holds and does what is left; overwrite does"
              + " everything and drops them when that is committed.");

  public static final Option<CommitEvery> COMMIT_EVERY =
      Option.of(
          "commit-every",
          "INTERVAL",
          "a time such as 90s, 10m or 2h, or a number of rows",
          CommitEvery::parse,
          CommitEvery.parse("10m"),
          "10m",
          "Most work that a crash can cost: the run commits a chunk in half of this time, or of"
              + " this many rows.");

  public static final Option<Boolean> SKIP_KEYS =
      Option.flag(
          "skip-keys",
          "Skip rows of new and changed files that the output holds already, for inputs whose"
              + " files are rewritten with the same rows.");

  public static final Option<Boolean> RETRY_ERRORS =
      Option.flag(
          "retry-errors", "Try the rows again that earlier runs wrote to _errors, and no others.");

  public static final Option<Devices.Choice> DEVICE = ScorerOptions.DEVICE;

  public static final Option<Long> BATCH_BUDGET = ScorerOptions.BATCH_BUDGET;

  public static final Option<Duration> BATCH_TIMEOUT = ScorerOptions.BATCH_TIMEOUT;

  public static final Option<Duration> ROW_TIMEOUT = ScorerOptions.ROW_TIMEOUT;

  public static final Option<Long> SEED = ScorerOptions.SEED;

  public static final Option<Integer> LIMIT =
      Option.ofInt("limit", null, "Process the first N rows only.").where("1 or more", n -> n >= 1);

  public static final Option<Double> MAX_ERROR_RATE =
      Option.ofDouble(
              "max-error-rate",
              0.1,
              "Share of error rows above which the exit status is 3. The rows are written all the"
                  + " same.")
          .where("a share from 0 to 1", r -> r >= 0 && r <= 1);

  public static final Option<Boolean> DRY_RUN =
      Option.flag("dry-run", "Check everything, say what would be done, and stop.");

  public static final Option<Boolean> KEEP_IMAGE =
      Option.flag(
          "keep-image",
          "Pass the input's images on: a binary column under its own name, the content of files as"
              + " content. They are left out otherwise.");

  public static final Option<String> FILES =
      Option.ofText(
          "files",
          null,
          "DIR",
          "Write every image as a file too, on any Hadoop file system:"
              + " KEY[-INDEX].png or .jpg, by lineage.key.");

  private JobOptions() {}

  /** The options of a task's jobs. */
  static List<Option<?>> of(TaskDefinition task) {
    List<Option<?>> options =
        new ArrayList<>(
            List.of(
                INPUT,
                INPUT_TABLE,
                INPUT_FORMAT,
                SELECT,
                DROP,
                MODEL,
                OUTPUT,
                MODE,
                COMMIT_EVERY,
                SKIP_KEYS,
                RETRY_ERRORS));
    options.addAll(ScorerOptions.of(task.data().budget()));
    options.addAll(List.of(LIMIT, MAX_ERROR_RATE, DRY_RUN));
    if (task.data().arguments().stream()
        .anyMatch(a -> a.kind().takesImages() || a.kind() == Argument.Kind.IMAGES)) {
      options.add(KEEP_IMAGE);
    }
    if (isImage(task)) {
      options.add(FILES);
    }
    return options;
  }

  private static boolean isImage(TaskDefinition task) {
    return task.results(OptionValues.NONE).get(0).type() == Result.Type.IMAGE;
  }
}
