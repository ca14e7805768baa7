package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.model.Devices;
import io.lakegen.task.embed.Embed;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.lang.reflect.Field;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;

/** What goes to the executors arrives there whole. */
class SerializationTest {
  private static final StructType SCHEMA = new StructType().add("text", DataTypes.StringType);

  private static Object roundTrip(Object value) throws IOException, ClassNotFoundException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(value);
    }
    try (ObjectInputStream in =
        new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      return in.readObject();
    }
  }

  private static ScoringPlan plan() {
    return TestPlans.of(new Embed(), SCHEMA, List.of("text"), List.of());
  }

  @Test
  void scoringPlans() throws Exception {
    assertThat(roundTrip(plan()))
        .usingRecursiveComparison()
        .ignoringFields("conf")
        .isEqualTo(plan());
    ScoringPlan arrived = (ScoringPlan) roundTrip(plan());
    assertThat(arrived.conf().value().get("fs.test.key")).isEqualTo("value");
    // Equal after the journey: the tasks of an executor find the task that they share.
    assertThat(arrived.definition()).isEqualTo(new Embed());
  }

  @Test
  void preloads() throws Exception {
    Preload sent = new Preload("s3a://lake/pack", Devices.Choice.gpu, 2, plan().conf());
    Preload arrived = (Preload) roundTrip(sent);
    assertThat(arrived).usingRecursiveComparison().ignoringFields("conf").isEqualTo(sent);
    assertThat(arrived.conf().value().get("fs.test.key")).isEqualTo("value");
    assertThat(roundTrip(new Preload.Request())).isEqualTo(new Preload.Request());
  }

  @Test
  void partitionScorers() throws Exception {
    Object arrived = roundTrip(new PartitionScorer(plan(), null));
    Field plan = PartitionScorer.class.getDeclaredField("plan");
    plan.setAccessible(true);
    assertThat(((ScoringPlan) plan.get(arrived)).inputs()).isEqualTo(plan().inputs());
  }

  @Test
  void rowsThroughAccumulators() {
    CountersAccumulator a = new CountersAccumulator();
    assertThat(a.isZero()).isTrue();
    a.add(Map.of(Counter.rows, 2L, Counter.failed, 1L));
    a.add(Map.of(Counter.rows, 3L));
    CountersAccumulator b = a.copy();
    b.merge(a);
    assertThat(a.isZero()).isFalse();
    assertThat(a.value()).isEqualTo(Map.of(Counter.rows, 5L, Counter.failed, 1L));
    assertThat(b.value()).isEqualTo(Map.of(Counter.rows, 10L, Counter.failed, 2L));
    assertThat(a.copyAndReset().isZero()).isTrue();
    b.reset();
    assertThat(b.isZero()).isTrue();
  }
}
