package io.lakegen.jobs.run;

import io.lakegen.batch.ScoringStats.Counter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What a run did. The row counts are those of the committed chunks, the times come from the tasks'
 * counters.
 *
 * @param input rows that came in
 * @param ok input rows with a result
 * @param failed input rows with an error
 * @param skipped input rows of chunks that earlier runs had committed
 * @param errors error rows by stage and type
 * @param seconds wall-clock time
 * @param concurrentTasks Spark tasks that ran at once
 * @param counters sums over all tasks
 */
public record RunSummary(
    long input,
    long ok,
    long failed,
    long skipped,
    Map<String, Long> errors,
    double seconds,
    int concurrentTasks,
    Map<Counter, Long> counters) {

  private static final Map<Counter, String> STAGES = stages();

  public RunSummary {
    errors = Map.copyOf(errors);
    counters = Map.copyOf(counters);
  }

  private static Map<Counter, String> stages() {
    Map<Counter, String> stages = new LinkedHashMap<>();
    stages.put(Counter.readNanos, "read");
    stages.put(Counter.prepareNanos, "prepare");
    stages.put(Counter.inferNanos, "infer");
    stages.put(Counter.writeNanos, "write");
    return stages;
  }

  /** Share of the rows with an outcome that are error rows. */
  public double errorRate() {
    return ok + failed == 0 ? 0 : (double) failed / (ok + failed);
  }

  /** Share of the batches' cost that was not padding. */
  double paddingEfficiency() {
    long padded = counter(Counter.padded);
    return padded == 0 ? 1 : (double) counter(Counter.size) / padded;
  }

  private long counter(Counter counter) {
    return counters.getOrDefault(counter, 0L);
  }

  /** Seconds that the stages took, summed over tasks. */
  Map<String, Double> stageSeconds() {
    return stageSeconds(counters);
  }

  static Map<String, Double> stageSeconds(Map<Counter, Long> counters) {
    Map<String, Double> seconds = new LinkedHashMap<>();
    STAGES.forEach(
        (counter, stage) -> seconds.put(stage, counters.getOrDefault(counter, 0L) / 1e9));
    return seconds;
  }

  /** The summary for a person. */
  public List<String> lines() {
    Map<String, Double> stages = stageSeconds();
    return List.of(
        String.format(
            Locale.ROOT,
            "rows: %,d input = %,d ok + %,d failed + %,d skipped%s",
            input,
            ok,
            failed,
            skipped,
            errorTypes()),
        String.format(
            Locale.ROOT,
            "time: %.1f s, %,.1f rows/s; summed over %d tasks at once: read %.1f s, prepare %.1f s,"
                + " infer %.1f s, write %.1f s",
            seconds,
            seconds > 0 ? (ok + failed) / seconds : 0,
            concurrentTasks,
            stages.get("read"),
            stages.get("prepare"),
            stages.get("infer"),
            stages.get("write")),
        String.format(
            Locale.ROOT,
            "batches: %,d, %.1f %% of them padding%s",
            counter(Counter.batches),
            100 * (1 - paddingEfficiency()),
            counter(Counter.outOfMemory) == 0
                ? ""
                : ", " + counter(Counter.outOfMemory) + " split because memory ran out"),
        "bottleneck: " + bottleneck());
  }

  private String errorTypes() {
    return errors.isEmpty()
        ? ""
        : " ("
            + String.join(
                ", ",
                errors.entrySet().stream()
                    .sorted(Map.Entry.comparingByKey())
                    .map(e -> e.getKey() + " " + e.getValue())
                    .toList())
            + ")";
  }

  /** Each stage has a thread of its own in every task, so the busiest one sets the pace. */
  String bottleneck() {
    Map.Entry<String, Double> busiest =
        stageSeconds().entrySet().stream().max(Map.Entry.comparingByValue()).orElseThrow();
    double share = seconds > 0 ? Math.min(1, busiest.getValue() / seconds / concurrentTasks) : 0;
    if (share < 0.5) {
      return String.format(
          Locale.ROOT,
          "none of the stages; the busiest, %s, took %.0f %% of the time, the rest went into"
              + " starting, planning and committing.",
          busiest.getKey(),
          100 * share);
    }
    return String.format(
        Locale.ROOT,
        "%s, busy %.0f %% of the time; %s",
        busiest.getKey(),
        100 * share,
        advice(busiest.getKey()));
  }

  private static String advice(String stage) {
    return switch (stage) {
      case "read" -> "smaller or splittable input files, or a nearer file system, would help.";
      case "prepare" -> "more CPU cores for a task (spark.task.cpus) would help.";
      case "infer" -> "more or faster devices, or a smaller model, would help.";
      default -> "a nearer or faster file system for the output would help.";
    };
  }
}
