package io.lakegen.spark;

import io.lakegen.batch.Timeouts;
import io.lakegen.model.Devices;
import io.lakegen.model.PackSpec;
import io.lakegen.task.Input;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.io.Serializable;
import java.util.List;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Everything an executor needs to score a partition.
 *
 * @param definition what to do with a row
 * @param options of the task
 * @param inputs what the task reads, bound to columns of the input schema
 * @param modelUri folder of the model pack
 * @param modelId name of the model, for the lineage
 * @param modelSha256 digest of the pack as the driver checked it; an executor that finds another
 *     refuses to work
 * @param engine the pack's engine
 * @param device the user's wish
 * @param threads threads that one engine operation may use on a CPU
 * @param prepareThreads threads that prepare the rows of one Spark task
 * @param batchBudget what may be on the device at once, 0 for the task's own default
 * @param timeouts how long a batch, and a row's preparation, may take
 * @param inputSchema schema of the input rows
 * @param keyColumns input columns that make the key
 * @param outputColumns input columns that are passed through
 * @param jobSeed with a row's key it makes the row's seed
 * @param paramsSha256 digest of the parameters that shape the results
 * @param runId identifies the run
 * @param conf how to reach the pack's file system
 */
public record ScoringPlan(
    TaskDefinition definition,
    OptionValues options,
    List<Input> inputs,
    String modelUri,
    String modelId,
    String modelSha256,
    PackSpec.EngineName engine,
    Devices.Choice device,
    int threads,
    int prepareThreads,
    long batchBudget,
    Timeouts timeouts,
    StructType inputSchema,
    List<String> keyColumns,
    List<String> outputColumns,
    long jobSeed,
    String paramsSha256,
    String runId,
    SerializableConfiguration conf)
    implements Serializable {

  public ScoringPlan {
    inputs = List.copyOf(inputs);
    keyColumns = List.copyOf(keyColumns);
    outputColumns = List.copyOf(outputColumns);
  }
}
