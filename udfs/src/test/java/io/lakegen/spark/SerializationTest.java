package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.scoring.ScoringStats.Counter;
import io.lakegen.task.diffusion.RenderOptions;
import io.lakegen.task.diffusion.SchedulerName;
import io.lakegen.task.text.GenerationOptions;
import io.lakegen.task.vision.Captioner;
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

  private static ScoringPlan<?, ?, ?> plan() {
    return TestPlans.of(new EmbedRows(3), SCHEMA, List.of("text"), List.of());
  }

  /** Equal after the journey: the tasks of an executor find the model task that they share. */
  @Test
  void rowTasks() throws Exception {
    assertThat(roundTrip(new EmbedRows(3))).isEqualTo(new EmbedRows(3));
    CaptionRows captions =
        new CaptionRows(
            2,
            GenerationOptions.builder().stop(List.of(".")).build(),
            new Captioner.CaptionOptions("a photo of", 64));
    assertThat(roundTrip(captions)).isEqualTo(captions);
    RenderRows images =
        new RenderRows(
            0,
            -1,
            Map.of(RenderRows.Overridable.seed, new RenderRows.Column(1, DataTypes.LongType)),
            new RenderOptions(
                new RenderOptions.ImageOptions("blurry", 64, 64, 20, 5),
                SchedulerName.DDIMScheduler,
                false,
                0.8,
                2),
            RenderRows.ImageFormat.png,
            0);
    assertThat(roundTrip(images)).isEqualTo(images);
  }

  @Test
  void scoringPlans() throws Exception {
    assertThat(roundTrip(plan()))
        .usingRecursiveComparison()
        .ignoringFields("conf")
        .isEqualTo(plan());
    ScoringPlan<?, ?, ?> arrived = (ScoringPlan<?, ?, ?>) roundTrip(plan());
    assertThat(arrived.conf().value().get("fs.test.key")).isEqualTo("value");
  }

  @Test
  void partitionScorers() throws Exception {
    Object arrived =
        roundTrip(
            new PartitionScorer<>(
                TestPlans.of(new EmbedRows(3), SCHEMA, List.of("text"), List.of()), null));
    Field plan = PartitionScorer.class.getDeclaredField("plan");
    plan.setAccessible(true);
    assertThat(((ScoringPlan<?, ?, ?>) plan.get(arrived)).task()).isEqualTo(new EmbedRows(3));
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
