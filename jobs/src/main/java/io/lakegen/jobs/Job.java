package io.lakegen.jobs;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.model.ModelPack;
import io.lakegen.spark.RowTask;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;

/**
 * A job that was checked and can run.
 *
 * @param name the subcommand
 * @param options the common options
 * @param params parameters that shape the results; their digest goes into every row
 * @param task what to do with a row
 * @param pack the model, as the driver found it
 * @param rows the input
 * @param load adds what is too heavy to be moved about; applied to the rows where they are scored
 * @param keyColumns input columns that make a row's key
 * @param outputColumns input columns that are passed through
 * @param output where the results go
 * @param export what else is made of the output's rows, before they count
 */
record Job(
    String name,
    CommonOptions options,
    SortedMap<String, Object> params,
    RowTask<?, ?, ?> task,
    ModelPack pack,
    Dataset<Row> rows,
    UnaryOperator<Dataset<Row>> load,
    List<String> keyColumns,
    List<String> outputColumns,
    RunOutput output,
    RowsExport export) {

  Job {
    params = new TreeMap<>(params);
    keyColumns = List.copyOf(keyColumns);
    outputColumns = List.copyOf(outputColumns);
  }

  /** Digest of the job's name and parameters, in the order of their names. */
  String paramsSha256() {
    try {
      SortedMap<String, Object> all = new TreeMap<>(params);
      all.put("job", name);
      byte[] json = new ObjectMapper().writeValueAsString(all).getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(json));
    } catch (JsonProcessingException | NoSuchAlgorithmException e) {
      throw new IllegalStateException("parameters are plain values and every JDK has SHA-256", e);
    }
  }
}
