package io.lakegen.spark.sql;

import io.lakegen.batch.Timeouts;
import io.lakegen.model.Devices;
import io.lakegen.model.PackSpec;
import io.lakegen.spark.Cluster;
import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.RunParams;
import io.lakegen.spark.ScoringPlan;
import io.lakegen.task.Argument;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkContext;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;

/**
 * What a call of a function asks for, but for its inputs: two calls that are equal in it give equal
 * results for equal inputs.
 *
 * @param definition the task
 * @param options of the task; its arguments' columns have the arguments' names
 * @param inputs how many of the task's arguments the call gives, from the first
 * @param modelUri folder of the model pack
 * @param modelId name of the model
 * @param modelSha256 digest of the pack when the call was analysed
 * @param engine the pack's engine
 * @param device the user's wish
 * @param batchBudget what may be on the device at once, 0 for the task's own default
 * @param timeouts how long a batch, and a row's preparation, may take
 * @param seed with a hash of the inputs it makes a row's seed
 * @param result what the call gives
 * @param onError what a bad row gives
 */
record CallSpec(
    TaskDefinition definition,
    OptionValues options,
    int inputs,
    String modelUri,
    String modelId,
    String modelSha256,
    PackSpec.EngineName engine,
    Devices.Choice device,
    long batchBudget,
    Timeouts timeouts,
    long seed,
    ResultShape result,
    OnError onError)
    implements Serializable {

  /** What a call gives of a row's results. */
  enum ResultShape {
    /** The task's main result. */
    main,
    /** All of the job's columns. */
    struct
  }

  /** What a call gives for a bad row. */
  enum OnError {
    /** A null. */
    NULL,
    /** Nothing: the query fails. */
    fail,
    /** A struct of value and error has the one or the other. */
    struct
  }

  /** The arguments that the call gives. */
  List<Argument> arguments() {
    return definition.data().arguments().subList(0, inputs);
  }

  static DataType inputType(Argument argument) {
    return switch (argument.kind()) {
      case IMAGE -> DataTypes.BinaryType;
      case IMAGES -> DataTypes.createArrayType(DataTypes.BinaryType);
      case VECTOR -> DataTypes.createArrayType(DataTypes.FloatType);
      case TEXT, TEXT_OR_IMAGE, NUMBER, SCALAR -> DataTypes.StringType;
    };
  }

  /** The inputs as columns, by the arguments' names. */
  StructType inputSchema() {
    StructType schema = new StructType();
    for (Argument argument : arguments()) {
      schema = schema.add(argument.name(), inputType(argument), true);
    }
    return schema;
  }

  /** What scoring gives: the task's columns, error and lineage. */
  StructType scoredSchema() {
    return OutputSchema.of(new StructType(), List.of(), definition.results(options));
  }

  /** Places in a scored row of what {@link #rowType} has. */
  int[] resultOrdinals() {
    if (result == ResultShape.main) {
      return new int[] {0};
    }
    StructType all = scoredSchema();
    List<Integer> ordinals = new ArrayList<>();
    for (int i = 0; i < all.length(); i++) {
      if (i != errorOrdinal()) {
        ordinals.add(i);
      }
    }
    return ordinals.stream().mapToInt(i -> i).toArray();
  }

  int errorOrdinal() {
    return scoredSchema().fieldIndex(OutputSchema.ERROR);
  }

  /** Whether every row has several results: a call gives an array of them then. */
  boolean isArray() {
    return definition.rowsPerInput(options) > 1;
  }

  private DataType rowType() {
    StructField[] fields = scoredSchema().fields();
    return result == ResultShape.main
        ? fields[0].dataType()
        : new StructType(
            Arrays.stream(resultOrdinals()).mapToObj(i -> fields[i]).toArray(StructField[]::new));
  }

  /** The type of the call. */
  DataType type() {
    DataType value = isArray() ? DataTypes.createArrayType(rowType(), false) : rowType();
    return onError == OnError.struct
        ? new StructType()
            .add("value", value, true)
            .add(OutputSchema.ERROR, scoredSchema().fields()[errorOrdinal()].dataType(), true)
        : value;
  }

  ScoringPlan plan(SparkContext context, Configuration conf) {
    int threads = Cluster.threadsPerTask(context);
    return new ScoringPlan(
        definition,
        options,
        definition.inputs(options),
        modelUri,
        modelId,
        modelSha256,
        engine,
        device,
        threads,
        threads,
        batchBudget,
        timeouts,
        inputSchema(),
        arguments().stream().map(Argument::name).toList(),
        List.of(),
        seed,
        RunParams.sha256(RunParams.of(definition, options, seed)),
        context.applicationId(),
        new SerializableConfiguration(conf));
  }

  /** For a person: model, device and what was given of the options. */
  String describe() {
    TreeMap<String, Object> given = new TreeMap<>(options.given());
    definition.data().arguments().forEach(a -> given.remove(a.column().name()));
    return "model="
        + modelId
        + ", device="
        + device
        + (given.isEmpty() ? "" : ", options=" + given);
  }
}
