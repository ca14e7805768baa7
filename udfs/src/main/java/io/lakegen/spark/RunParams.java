package io.lakegen.spark;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.SortedMap;

/**
 * What shapes the results: two runs that agree in it, in the model and in a row's key give the same
 * row, lineage included. The seed therefore belongs to it even where a task draws nothing, since
 * every row's lineage holds a seed made of it.
 */
public final class RunParams {
  private RunParams() {}

  /** The task, its options with their defaults, and the seed, by name. */
  public static SortedMap<String, Object> of(TaskDefinition task, OptionValues options, long seed) {
    SortedMap<String, Object> params = options.canonical(task.data().allOptions());
    params.put("seed", seed);
    params.put("task", task.data().name());
    return params;
  }

  /** Digest of parameters as JSON, in the order of their names. */
  public static String sha256(SortedMap<String, Object> params) {
    try {
      byte[] json = new ObjectMapper().writeValueAsString(params).getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(json));
    } catch (JsonProcessingException | NoSuchAlgorithmException e) {
      throw new IllegalStateException("parameters are plain values and every JDK has SHA-256", e);
    }
  }
}
