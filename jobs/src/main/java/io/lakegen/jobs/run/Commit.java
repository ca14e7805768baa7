package io.lakegen.jobs.run;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.lakegen.jobs.input.Address;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * An entry of the {@link CommitLog}: a chunk of a run, or the moment at which a run takes the place
 * of those before it. Written as JSON.
 *
 * @param format of this entry
 * @param replaces whether this run's chunks count from here on, and none before them; says nothing
 *     else then
 * @param pending whether the chunk counts only once its run {@code replaces} the others
 * @param runId identifies the run
 * @param chunk its number in the run
 * @param started when the chunk's Spark job began, ISO 8601
 * @param committed when it was written
 * @param job name of the task
 * @param input URIs that were asked for
 * @param inputFormat their format
 * @param limit of the run, or null
 * @param model identifier of the model
 * @param modelSha256 digest of its pack
 * @param params what shapes the results
 * @param paramsSha256 digest of {@code params}
 * @param schema of the input files, as Spark's JSON
 * @param counts of rows
 * @param errors error rows by stage and type
 * @param seconds that the chunk took
 * @param files of good rows and, below {@code _errors}, of error rows, relative to the output
 * @param covers the input ranges, by folder: name, length, version and, unless it is the whole
 *     file, start and end
 * @param retries chunks, as run and number, whose error rows were tried again here and are void
 * @param work how the chunk was made; null in entries of Lakegen 0.1
 */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record Commit(
    int format,
    boolean replaces,
    boolean pending,
    String runId,
    int chunk,
    String started,
    String committed,
    String job,
    List<String> input,
    String inputFormat,
    Integer limit,
    String model,
    String modelSha256,
    Map<String, Object> params,
    String paramsSha256,
    JsonNode schema,
    Counts counts,
    Map<String, Long> errors,
    double seconds,
    List<String> files,
    Map<String, List<List<Object>>> covers,
    List<String> retries,
    Work work) {

  static final int FORMAT = 2;

  /**
   * Rows of a chunk.
   *
   * @param input rows that were read, those of {@code retries} excepted
   * @param ok input rows with a result
   * @param failed input rows with an error
   * @param written rows in the output; more than {@code ok} where an input row has several
   */
  public record Counts(long input, long ok, long failed, long written) implements Serializable {
    static final Counts NONE = new Counts(0, 0, 0, 0);

    Counts plus(Counts other) {
      return new Counts(
          input + other.input, ok + other.ok, failed + other.failed, written + other.written);
    }
  }

  /**
   * How a chunk was made, for people who look back at it. Nothing is decided by it.
   *
   * @param lakegen version of Lakegen
   * @param options of the job that were given, the task's ones excepted, which {@code params} holds
   * @param tasks Spark tasks that ran at once
   * @param stages seconds that reading, preparing ... took, summed over tasks
   * @param pace points in the order of time
   */
  public record Work(
      String lakegen,
      Map<String, Object> options,
      int tasks,
      Map<String, Double> stages,
      List<Pace> pace)
      implements Serializable {
    private static final int MOST_POINTS = 50;

    public Work {
      options = options == null ? Map.of() : options;
      stages = stages == null ? Map.of() : stages;
      pace = pace == null ? List.of() : thinned(pace);
    }

    private static List<Pace> thinned(List<Pace> pace) {
      int step = (pace.size() + MOST_POINTS - 1) / MOST_POINTS;
      List<Pace> some = new ArrayList<>();
      for (int i = pace.size() - 1; i >= 0; i -= step) {
        some.add(0, pace.get(i));
      }
      return List.copyOf(some);
    }
  }

  /**
   * How far a chunk had come.
   *
   * @param seconds since it started
   * @param rows input rows of Spark tasks that had ended
   */
  public record Pace(double seconds, long rows) implements Serializable {}

  public Commit {
    input = input == null ? List.of() : input;
    counts = counts == null ? Counts.NONE : counts;
    errors = errors == null ? Map.of() : errors;
    files = files == null ? List.of() : files;
    covers = covers == null ? Map.of() : covers;
    retries = retries == null ? List.of() : retries;
  }

  /** The entry by which a run takes the place of all before it. */
  static Commit replacement(String runId, String committed) {
    return new Commit(
        FORMAT, true, false, runId, 0, null, committed, null, null, null, null, null, null, null,
        null, null, null, null, 0, null, null, null, null);
  }

  /** Run and number. */
  String id() {
    return runId + "/" + chunk;
  }

  /** Input ranges as {@link #covers} holds them. */
  static Map<String, List<List<Object>>> covers(List<Address> ranges) {
    Map<String, List<List<Object>>> covers = new TreeMap<>();
    for (Address range : ranges) {
      int slash = range.path().lastIndexOf('/');
      List<Object> file = new ArrayList<>();
      file.add(range.path().substring(slash + 1));
      file.add(range.length());
      file.add(range.etag() == null ? (Object) range.modified() : range.etag());
      if (range.start() > 0 || range.end() < range.length()) {
        file.add(range.start());
        file.add(range.end());
      }
      covers.computeIfAbsent(range.path().substring(0, slash), f -> new ArrayList<>()).add(file);
    }
    return covers;
  }

  Commit withoutCovers() {
    return new Commit(
        format,
        replaces,
        pending,
        runId,
        chunk,
        started,
        committed,
        job,
        input,
        inputFormat,
        limit,
        model,
        modelSha256,
        params,
        paramsSha256,
        schema,
        counts,
        errors,
        seconds,
        files,
        Map.of(),
        retries,
        work);
  }

  /** The input ranges. */
  List<Address> ranges() {
    List<Address> ranges = new ArrayList<>();
    covers.forEach(
        (folder, files) -> {
          for (List<Object> file : files) {
            long length = ((Number) file.get(1)).longValue();
            Object version = file.get(2);
            boolean whole = file.size() == 3;
            ranges.add(
                new Address(
                    folder + "/" + file.get(0),
                    length,
                    version instanceof Number modified ? modified.longValue() : 0,
                    version instanceof String etag ? etag : null,
                    whole ? 0 : ((Number) file.get(3)).longValue(),
                    whole ? length : ((Number) file.get(4)).longValue()));
          }
        });
    return ranges;
  }
}
