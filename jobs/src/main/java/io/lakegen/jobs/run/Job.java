package io.lakegen.jobs.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.input.BoundInputs;
import io.lakegen.model.ModelPack;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;

/**
 * A job that was checked and can run.
 *
 * @param pack the model, as the driver found it
 * @param rows the input
 * @param inputs what the task reads of them
 * @param keyColumns input columns that make a row's key
 * @param outputColumns input columns that are passed through
 * @param output where the results go
 */
public record Job(
    JobSpec spec,
    ModelPack pack,
    Dataset<Row> rows,
    BoundInputs inputs,
    List<String> keyColumns,
    List<String> outputColumns,
    RunOutput output) {

  public Job {
    keyColumns = List.copyOf(keyColumns);
    outputColumns = List.copyOf(outputColumns);
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
    SortedMap<String, Object> params = spec.options().canonical(spec.task().data().allOptions());
    params.put("seed", spec.get(JobOptions.SEED));
    params.put("task", name());
    return params;
  }

  /** Digest of {@link #params} as JSON, in the order of their names. */
  public String paramsSha256() {
    try {
      byte[] json =
          new ObjectMapper().writeValueAsString(params()).getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(json));
    } catch (JsonProcessingException | NoSuchAlgorithmException e) {
      throw new IllegalStateException("parameters are plain values and every JDK has SHA-256", e);
    }
  }
}
