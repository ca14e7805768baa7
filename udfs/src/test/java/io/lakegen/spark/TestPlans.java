package io.lakegen.spark;

import io.lakegen.batch.Timeouts;
import io.lakegen.model.Devices;
import io.lakegen.model.PackSpec;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;

/** Plans with values that tests can tell apart. */
final class TestPlans {
  static final long SEED = 42;

  private TestPlans() {}

  static ScoringPlan of(
      TaskDefinition definition, StructType schema, List<String> keys, List<String> passedThrough) {
    Configuration conf = new Configuration(false);
    conf.set("fs.test.key", "value");
    return new ScoringPlan(
        definition,
        OptionValues.NONE,
        definition.inputs(OptionValues.NONE),
        "s3a://lake/pack",
        "test-model",
        "model-sha",
        PackSpec.EngineName.PyTorch,
        Devices.Choice.cpu,
        1,
        1,
        0,
        Timeouts.NONE,
        schema,
        keys,
        passedThrough,
        SEED,
        "params-sha",
        "run-1",
        new SerializableConfiguration(conf));
  }
}
