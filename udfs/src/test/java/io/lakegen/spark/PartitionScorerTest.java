package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.batch.Timeouts;
import io.lakegen.model.Devices;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.task.Argument;
import io.lakegen.task.Input;
import io.lakegen.task.OptionValues;
import io.lakegen.task.embed.Embed;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.util.SerializableConfiguration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Embeds partitions in a real Spark, where plan and accumulator travel as they do on a cluster. */
class PartitionScorerTest {
  private static final String PACK =
      Path.of("../inference/src/test/resources/fixtures/bert/pack").toAbsolutePath().toString();

  private static SparkSession spark;
  private static ModelPack pack;

  @BeforeAll
  static void start() throws IOException {
    spark =
        SparkSession.builder().master("local[2]").config("spark.ui.enabled", "false").getOrCreate();
    pack = PackStore.ofNode().fetch(PACK, new Configuration());
  }

  @AfterAll
  static void stop() {
    spark.stop();
    ExecutorModels.close();
  }

  private static List<InternalRow> embed(
      List<String> texts, int partitions, String sha256, CountersAccumulator counters) {
    Dataset<String> input =
        spark.createDataset(texts, Encoders.STRING()).repartition(1).repartition(partitions);
    ScoringPlan plan =
        new ScoringPlan(
            new Embed(),
            OptionValues.NONE,
            List.of(new Input("text", Argument.Kind.TEXT, "value", "column")),
            PACK,
            "tiny",
            sha256,
            pack.spec().engine(),
            Devices.Choice.auto,
            1,
            1,
            0,
            Timeouts.NONE,
            input.schema(),
            List.of("value"),
            List.of("value"),
            1,
            "params",
            "run",
            new SerializableConfiguration(new Configuration()));
    JavaRDD<InternalRow> rows = input.queryExecution().toRdd().toJavaRDD();
    return rows.mapPartitions(new PartitionScorer(plan, counters), true).collect();
  }

  private static CountersAccumulator registered() {
    CountersAccumulator counters = new CountersAccumulator();
    spark.sparkContext().register(counters, "counters");
    return counters;
  }

  @Test
  void aPackThatIsPreloadedIsWhatTasksFind() throws IOException {
    ExecutorModels.close();
    Preload preload =
        new Preload(
            PACK, Devices.Choice.auto, 1, new SerializableConfiguration(new Configuration()));
    preload.load(ExecutorModels.pool(), List.of());
    preload.load(ExecutorModels.pool(), List.of());
    assertThat(ExecutorModels.pool().loads()).isEqualTo(1);
    assertThat(embed(List.of("the lake"), 1, pack.sha256(), registered())).hasSize(1);
    assertThat(ExecutorModels.pool().loads()).isEqualTo(1);
    assertThat(ExecutorModels.pool().size()).isEqualTo(1);
  }

  @Test
  void whatIsPreloadedIsSetOnTheDriver() {
    spark.sparkContext().conf().set(LakegenPlugin.PRELOAD, "s3a://lake/pack");
    spark.sparkContext().conf().set(LakegenPlugin.PRELOAD_DEVICE, "gpu");
    assertThat(Preload.of(spark.sparkContext()))
        .extracting(Preload::uri, Preload::device, Preload::threads)
        .containsExactly(
            "s3a://lake/pack", Devices.Choice.gpu, Cluster.threadsPerTask(spark.sparkContext()));
    spark.sparkContext().conf().remove(LakegenPlugin.PRELOAD);
    spark.sparkContext().conf().remove(LakegenPlugin.PRELOAD_DEVICE);
  }

  @Test
  void partitionsShareOneModelAndEveryRowComesOut() {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      texts.add(i % 50 == 0 ? "  " : "the lake and the boat ".repeat(1 + i % 7) + i);
    }
    int loads = ExecutorModels.pool().loads();
    CountersAccumulator counters = registered();

    List<InternalRow> rows = embed(texts, 6, pack.sha256(), counters);

    assertThat(rows).extracting(row -> row.getString(0)).containsExactlyInAnyOrderElementsOf(texts);
    for (InternalRow row : rows) {
      boolean blank = row.getString(0).isBlank();
      assertThat(row.isNullAt(1)).isEqualTo(blank);
      assertThat(row.isNullAt(4)).isNotEqualTo(blank);
      if (blank) {
        assertThat(row.getStruct(4, 3).getString(1)).isEqualTo("blank_text");
      } else {
        double norm = 0;
        for (float value : row.getArray(1).toFloatArray()) {
          norm += value * value;
        }
        assertThat(norm).isEqualTo(1, within(1e-5));
      }
    }
    assertThat(ExecutorModels.pool().loads() - loads).isEqualTo(1);
    assertThat(ExecutorModels.pool().size()).isEqualTo(1);
    assertThat(counters.value())
        .containsEntry(Counter.rows, 200L)
        .containsEntry(Counter.failed, 4L);
  }

  @Test
  void aPackThatWasChangedSinceTheJobStartedIsRefused() {
    assertThatThrownBy(() -> embed(List.of("a"), 1, "0".repeat(64), registered()))
        .hasStackTraceContaining(
            pack.sha256()
                + " (expected: "
                + "0".repeat(64)
                + ", as when the job started; the pack was changed since)");
  }
}
