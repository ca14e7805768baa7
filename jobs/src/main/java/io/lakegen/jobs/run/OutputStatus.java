package io.lakegen.jobs.run;

import static org.apache.spark.sql.functions.col;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.lakegen.jobs.input.Address;
import io.lakegen.jobs.input.Coverage;
import io.lakegen.jobs.input.InputFiles;
import io.lakegen.jobs.input.InputFormat;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * What an output holds, and what is left to do.
 *
 * @param output its folder
 * @param job name of the task; null where nothing was committed
 * @param model identifier of the model
 * @param writer who writes to it now, in words; null for nobody
 * @param counts of all chunks; rows that were tried again count by their last outcome
 * @param errors error rows by stage and type
 * @param runs in the order of their first commits
 * @param left input that no chunk covers; null where it cannot be listed
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record OutputStatus(
    String output,
    String job,
    String model,
    String writer,
    Commit.Counts counts,
    List<ErrorType> errors,
    List<Run> runs,
    Left left) {
  private static final int EXAMPLES = 3;

  /** A kind of error, with the messages of a few rows. */
  public record ErrorType(String type, long rows, List<String> examples) {}

  /** A run's chunks. */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  public record Run(
      String runId, String started, String committed, int chunks, Commit.Counts counts) {}

  /** Input files, in whole or in part, and their bytes. */
  public record Left(long files, long bytes) {}

  /**
   * Reads the state of an output.
   *
   * @throws InvalidArgumentsException if the folder is no job's output
   * @throws IOException if it cannot be read
   */
  public static OutputStatus of(SparkSession spark, String uri) throws IOException {
    RunOutput output = RunOutput.open(uri, spark.sparkContext().hadoopConfiguration());
    OutputStatus status = committed(spark, output);
    List<Commit> chunks = output.chunks();
    Left left =
        chunks.isEmpty()
            ? null
            : left(
                    output.log(),
                    chunks.get(chunks.size() - 1),
                    spark.sparkContext().hadoopConfiguration())
                .orElse(null);
    return new OutputStatus(
        status.output,
        status.job,
        status.model,
        status.writer,
        status.counts,
        status.errors,
        status.runs,
        left);
  }

  /** As {@link #of} does, without listing the input to see what is left. */
  public static OutputStatus committed(SparkSession spark, RunOutput output) throws IOException {
    CommitLog log = output.log();
    if (log.isEmpty()) {
      Problems problems = new Problems();
      problems.add("output", output.root(), "a folder that a job has committed to");
      problems.throwIfAny();
    }
    List<Commit> chunks = log.chunks();
    Map<String, Long> errors = new TreeMap<>();
    Set<String> retried = log.retried();
    Commit.Counts counts = Commit.Counts.NONE;
    for (Commit chunk : chunks) {
      Commit.Counts now = chunk.counts();
      if (retried.contains(chunk.id())) {
        now = new Commit.Counts(now.input(), now.ok(), 0, now.written());
      } else {
        chunk.errors().forEach((type, rows) -> errors.merge(type, rows, Long::sum));
      }
      counts = counts.plus(now);
    }
    Commit last = chunks.isEmpty() ? null : chunks.get(chunks.size() - 1);
    return new OutputStatus(
        output.root().toString(),
        last == null ? null : last.job(),
        last == null ? null : last.model(),
        output.writer().orElse(null),
        counts,
        types(spark, output, errors),
        runs(chunks),
        null);
  }

  private static List<ErrorType> types(
      SparkSession spark, RunOutput output, Map<String, Long> errors) {
    List<ErrorType> types = new ArrayList<>();
    if (errors.isEmpty()) {
      return types;
    }
    Dataset<Row> rows = spark.read().parquet(output.errors().toString()).select("error.*");
    errors.forEach(
        (name, count) -> {
          int slash = name.indexOf('/');
          List<String> examples =
              rows
                  .where(
                      col("stage")
                          .equalTo(name.substring(0, slash))
                          .and(col("type").equalTo(name.substring(slash + 1))))
                  .limit(EXAMPLES)
                  .collectAsList()
                  .stream()
                  .map(r -> r.getString(2) + " (" + r.getString(3) + ")")
                  .toList();
          types.add(new ErrorType(name, count, examples));
        });
    return types;
  }

  private static List<Run> runs(List<Commit> chunks) {
    Map<String, Run> runs = new LinkedHashMap<>();
    for (Commit chunk : chunks) {
      Run one = new Run(chunk.runId(), chunk.started(), chunk.committed(), 1, chunk.counts());
      runs.merge(
          chunk.runId(),
          one,
          (a, b) ->
              new Run(
                  a.runId(),
                  a.started(),
                  b.committed(),
                  a.chunks() + 1,
                  a.counts().plus(b.counts())));
    }
    return List.copyOf(runs.values());
  }

  private static Optional<Left> left(CommitLog log, Commit last, Configuration conf)
      throws IOException {
    if (last.limit() != null) {
      return Optional.empty();
    }
    Coverage done = new Coverage();
    for (Commit chunk : log.chunks()) {
      log.ranges(chunk).forEach(done::add);
    }
    return InputFiles.find(
            last.input(), InputFormat.valueOf(last.inputFormat()), done, conf, new Problems())
        .map(
            files ->
                new Left(
                    files.left().size(), files.left().stream().mapToLong(Address::size).sum()));
  }

  /** The status for a person. */
  public List<String> lines() {
    List<String> lines = new ArrayList<>();
    lines.add(output + (job == null ? "" : ": " + job + " with " + model));
    if (writer != null) {
      lines.add("  " + writer);
    }
    for (Run run : runs) {
      lines.add(
          String.format(
              Locale.ROOT,
              "  run %s: %d chunks, %s, %s to %s",
              run.runId(),
              run.chunks(),
              words(run.counts()),
              run.started(),
              run.committed()));
    }
    lines.add("  in all: " + words(counts));
    for (ErrorType type : errors) {
      lines.add(String.format(Locale.ROOT, "  error %s: %,d rows", type.type(), type.rows()));
      type.examples().forEach(e -> lines.add("    " + e));
    }
    lines.add(
        left == null
            ? "  left: unknown, the input cannot be listed"
            : left.files() == 0
                ? "  left: nothing"
                : String.format(
                    Locale.ROOT, "  left: %,d files, %,d bytes", left.files(), left.bytes()));
    return lines;
  }

  private static String words(Commit.Counts counts) {
    return String.format(
        Locale.ROOT,
        "%,d input = %,d ok + %,d failed",
        counts.input(),
        counts.ok(),
        counts.failed());
  }
}
