package io.lakegen.jobs.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.input.BoundInputs;
import io.lakegen.jobs.input.InputFiles;
import io.lakegen.jobs.input.InputReader;
import io.lakegen.model.ModelPack;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
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

  /**
   * What shapes the results: two runs that agree in it, in the model and in a row's key give the
   * same row, lineage included. The job's seed therefore belongs to it even where a task draws
   * nothing, since every row's lineage holds a seed made of it.
   */
  public SortedMap<String, Object> params() {
    return params(spec);
  }

  static SortedMap<String, Object> params(JobSpec spec) {
    SortedMap<String, Object> params = spec.options().canonical(spec.task().data().allOptions());
    params.put("seed", spec.get(JobOptions.SEED));
    params.put("task", spec.task().data().name());
    if (!spec.get(JobOptions.SELECT).isEmpty()) {
      params.put(JobOptions.SELECT.name(), spec.get(JobOptions.SELECT));
    }
    return params;
  }

  static String paramsSha256(JobSpec spec) {
    return sha256(params(spec));
  }

  /** Digest of {@link #params} as JSON, in the order of their names. */
  public String paramsSha256() {
    return sha256(params());
  }

  private static String sha256(SortedMap<String, Object> params) {
    try {
      byte[] json = new ObjectMapper().writeValueAsString(params).getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(json));
    } catch (JsonProcessingException | NoSuchAlgorithmException e) {
      throw new IllegalStateException("parameters are plain values and every JDK has SHA-256", e);
    }
  }
}
