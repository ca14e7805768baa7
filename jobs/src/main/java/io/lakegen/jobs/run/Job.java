package io.lakegen.jobs.run;

import io.lakegen.jobs.input.BoundInputs;
import io.lakegen.jobs.input.InputFiles;
import io.lakegen.jobs.input.InputReader;
import io.lakegen.model.ModelPack;
import io.lakegen.spark.RunParams;
import io.lakegen.task.Option;
import java.util.List;
import java.util.SortedMap;
import org.apache.spark.sql.types.StructType;

/**
 * A job that was checked and can run.
 *
 * @param pack the model, as the driver found it
 * @param files the input, without what is done
 * @param reader reads it
 * @param schema of the input files
 * @param inputs what the task reads of their rows
 * @param keyColumns input columns that make a row's key
 * @param outputColumns input columns that are passed through
 * @param output where the results go
 * @param history committed chunks that the run goes on with
 */
public record Job(
    JobSpec spec,
    ModelPack pack,
    InputFiles files,
    InputReader reader,
    StructType schema,
    BoundInputs inputs,
    List<String> keyColumns,
    List<String> outputColumns,
    RunOutput output,
    List<Commit> history) {

  public Job {
    keyColumns = List.copyOf(keyColumns);
    outputColumns = List.copyOf(outputColumns);
    history = List.copyOf(history);
  }

  /** Whether the run takes the place of those before it. */
  boolean replaces() {
    return spec.get(JobOptions.MODE) == Mode.overwrite;
  }

  String name() {
    return spec.task().data().name();
  }

  /** See {@link RunParams}. */
  public SortedMap<String, Object> params() {
    return params(spec);
  }

  static SortedMap<String, Object> params(JobSpec spec) {
    SortedMap<String, Object> params =
        RunParams.of(spec.task(), spec.options(), spec.get(JobOptions.SEED));
    for (Option<List<String>> columns : List.of(JobOptions.SELECT, JobOptions.DROP)) {
      if (!spec.get(columns).isEmpty()) {
        params.put(columns.name(), spec.get(columns));
      }
    }
    return params;
  }

  static String paramsSha256(JobSpec spec) {
    return RunParams.sha256(params(spec));
  }

  /** Digest of {@link #params} as JSON, in the order of their names. */
  public String paramsSha256() {
    return RunParams.sha256(params());
  }
}
