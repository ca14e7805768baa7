package io.lakegen.jobs.run;

import io.lakegen.jobs.input.Coverage;
import io.lakegen.model.ModelPack;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;

/** What a job goes on with: the chunks that its output holds. */
final class History {
  private final JobSpec spec;
  private final Optional<ModelPack> pack;
  private final CommitLog log;
  private final List<Commit> chunks;
  private final boolean replaces;

  /** Of a job whose model or output may be wrong. */
  History(JobSpec spec, Optional<ModelPack> pack, Optional<RunOutput> output) {
    this.spec = spec;
    this.pack = pack;
    this.replaces = spec.get(JobOptions.MODE) == Mode.overwrite;
    this.log = output.map(RunOutput::log).orElse(null);
    if (log == null) {
      this.chunks = List.of();
    } else {
      this.chunks = replaces ? ownOnly(log.pending()) : log.chunks();
    }
  }

  /** An overwriting run goes on with one that was cut off, if that was of the same kind. */
  private List<Commit> ownOnly(List<Commit> pending) {
    boolean own =
        !pending.isEmpty()
            && spec.get(JobOptions.LIMIT) == null
            && differences(pending.get(0)).isEmpty();
    return own ? pending : List.of();
  }

  List<Commit> chunks() {
    return chunks;
  }

  /**
   * Looks for reasons against going on.
   *
   * @param problems get each
   */
  void check(Problems problems) {
    boolean retries = spec.get(JobOptions.RETRY_ERRORS);
    if (retries && (replaces || spec.get(JobOptions.LIMIT) != null)) {
      problems.add(
          JobOptions.RETRY_ERRORS.name(), "with --mode overwrite or --limit", "neither of them");
    }
    if (chunks.isEmpty() || replaces) {
      return;
    }
    String expected = ", as in the rows that the output holds; --mode overwrite, or another output";
    differences(chunks.get(chunks.size() - 1))
        .forEach((name, values) -> problems.add(name, values[0], values[1] + expected));
    boolean limited = chunks.get(0).limit() != null;
    if (limited || spec.get(JobOptions.LIMIT) != null) {
      problems.add(
          JobOptions.LIMIT.name(),
          limited
              ? "the output holds the first " + chunks.get(0).limit() + " rows"
              : String.valueOf(spec.get(JobOptions.LIMIT)),
          "a limited run goes to an output of its own, or --mode overwrite");
    }
  }

  /** What differs from a chunk: now, and then. */
  private Map<String, String[]> differences(Commit chunk) {
    Map<String, String[]> differences = new TreeMap<>();
    Map<String, Object> now = Job.params(spec);
    Map<String, Object> then = chunk.params();
    if (!Job.paramsSha256(spec).equals(chunk.paramsSha256())) {
      TreeSet<String> names = new TreeSet<>(now.keySet());
      names.addAll(then.keySet());
      for (String name : names) {
        String a = Objects.toString(now.get(name), "not given");
        String b = Objects.toString(then.get(name), "not given");
        if (!a.equals(b)) {
          differences.put(name, new String[] {a, b});
        }
      }
    }
    pack.filter(p -> !p.sha256().equals(chunk.modelSha256()))
        .ifPresent(
            p ->
                differences.put(
                    JobOptions.MODEL.name(),
                    new String[] {
                      p.spec().source().id() + " with digest " + p.sha256().substring(0, 12),
                      chunk.model() + " with digest " + chunk.modelSha256().substring(0, 12)
                    }));
    return differences;
  }

  /** The input that is done. */
  Coverage coverage() {
    Coverage coverage = new Coverage();
    try {
      for (Commit chunk : chunks) {
        log.ranges(chunk).forEach(coverage::add);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return coverage;
  }

  /** The columns of the input, as the last chunk saw them. */
  Optional<StructType> schema() {
    return chunks.isEmpty()
        ? Optional.empty()
        : Optional.of(
            (StructType) DataType.fromJson(chunks.get(chunks.size() - 1).schema().toString()));
  }
}
