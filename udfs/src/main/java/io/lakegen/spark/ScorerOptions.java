package io.lakegen.spark;

import io.lakegen.model.Devices;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import java.time.Duration;
import java.util.List;

/** The options that jobs and SQL functions have in common. */
public final class ScorerOptions {
  public static final Option<Devices.Choice> DEVICE =
      Option.ofEnum(
          "device",
          Devices.Choice.class,
          Devices.Choice.auto,
          "DEVICE",
          "auto takes a GPU where there is one; gpu fails before any work where there is none.");

  public static final Option<Long> BATCH_BUDGET = batchBudget("", "");

  public static final Option<Duration> BATCH_TIMEOUT =
      Option.ofDuration(
              "batch-timeout",
              null,
              "Longest that a batch may be on the device. Beyond it the device is taken for hung: its"
                  + " Spark task fails and goes to another executor, and the device gets no more"
                  + " work. A batch of generate is a whole window of rows. With or without it, a"
                  + " warning names a batch that takes more than a minute.")
          .defaultsTo("no limit")
          .where("more than 0", d -> !d.isZero());

  public static final Option<Duration> ROW_TIMEOUT =
      Option.ofDuration(
              "row-timeout",
              null,
              "Longest that preparing a row (decoding, tokenising) may take. Beyond it the row is an"
                  + " error row of type row_timeout.")
          .defaultsTo("no limit")
          .where("more than 0", d -> !d.isZero());

  public static final Option<Long> SEED =
      Option.ofLong("seed", 0L, "With a row's key it makes the row's seed, for tasks that draw.");

  private ScorerOptions() {}

  /** The batch budget of a task, with its unit and defaults. */
  public static Option<Long> batchBudget(Budget.Unit unit) {
    String cpu =
        unit.tried().isEmpty()
            ? String.format("%,d on CPUs, ", unit.cpu())
            : String.format(
                "on CPUs whichever is fastest from %,d to %,d, measured in the first batches; ",
                unit.tried().get(0), unit.tried().get(unit.tried().size() - 1));
    return batchBudget(unit.counts(), String.format("%s%,d on GPUs", cpu, unit.gpu()));
  }

  private static Option<Long> batchBudget(String counts, String defaults) {
    return Option.ofLong(
            "batch-budget",
            null,
            "Most " + counts + ". Out of memory lowers it for the rest of the run.")
        .defaultsTo(defaults)
        .where("1 or more", n -> n >= 1);
  }

  /** All of them, for one task. */
  public static List<Option<?>> of(Budget.Unit unit) {
    return List.of(DEVICE, batchBudget(unit), BATCH_TIMEOUT, ROW_TIMEOUT, SEED);
  }
}
