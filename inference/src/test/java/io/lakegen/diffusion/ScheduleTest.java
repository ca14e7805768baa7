package io.lakegen.diffusion;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.TextNode;
import io.lakegen.decode.Fixture;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What the schedulers make of given model outputs against what diffusers' make of the same. */
public class ScheduleTest {
  private static final double TOLERANCE = 1e-4;

  static Stream<Arguments> trajectories() throws IOException {
    return Fixture.stream(Fixture.json("schedulers").path("trajectories"))
        .map(t -> Arguments.of(t.path("name").asText(), t));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("trajectories")
  void trajectoriesEqualDiffusers(String name, JsonNode expected) {
    Schedule schedule =
        Schedule.of(
            config(expected),
            expected.path("numInferenceSteps").asInt(),
            expected.path("beginIndex").asInt());
    assertThat(schedule.initNoiseSigma())
        .isCloseTo(expected.path("initNoiseSigma").asDouble(), within(TOLERANCE));
    float[] noise = floats(expected, "noise");
    Schedule.Level level = schedule.steps().get(0).level();
    float[] latent = new float[noise.length];
    for (int i = 0; i < latent.length; i++) {
      latent[i] =
          (float)
              (expected.has("image")
                  ? level.image() * floats(expected, "image")[i] + level.noise() * noise[i]
                  : schedule.initNoiseSigma() * noise[i]);
    }
    assertThat(latent).containsExactly(floats(expected, "latents"), within((float) TOLERANCE));
    JsonNode steps = expected.path("steps");
    assertThat(schedule.steps()).hasSize(steps.size());
    Latent state = new Latent(schedule, latent);
    for (int i = 0; i < steps.size(); i++) {
      JsonNode step = steps.get(i);
      Schedule.Step actual = schedule.steps().get(i);
      assertThat(actual.timestep())
          .as("timestep of step %d", i)
          .isCloseTo(step.path("timestep").asDouble(), within(TOLERANCE));
      float[] input = floats(step, "modelInput");
      for (int k = 0; k < latent.length; k++) {
        assertThat(latent[k] * actual.inputScale()).isCloseTo(input[k], within(TOLERANCE));
      }
      // diffusers draws noise at the last step too, and mostly multiplies it by 0.
      boolean last = i == steps.size() - 1;
      assertThat(actual.next().noisy())
          .as("noise at step %d", i)
          .isEqualTo(step.hasNonNull("noise") && (!last || actual.next().noisy()));
      float[] fresh = step.hasNonNull("noise") ? floats(step, "noise") : null;
      schedule.advance(i, state, floats(step, "modelOutput"), fresh);
      assertThat(latent)
          .as("latent after step %d", i)
          .containsExactly(floats(step, "latents"), within((float) TOLERANCE));
    }
  }

  private static float[] floats(JsonNode node, String key) {
    return Fixture.floats(
        new ObjectMapper()
            .createObjectNode()
            .set("float32", new TextNode(node.path(key).asText())));
  }

  /** The configuration of a fixture. */
  public static SchedulerConfig config(JsonNode run) {
    return SchedulerConfig.of(
        SchedulerName.valueOf(run.path("scheduler").asText()),
        new ObjectMapper().convertValue(run.path("config"), new TypeReference<>() {}),
        false,
        new Problems());
  }

  @Test
  void aConfigurationOfOtherArithmeticIsRefused() {
    Problems problems = new Problems();
    SchedulerConfig.of(
        SchedulerName.DDIMScheduler,
        Map.of("thresholding", true, "prediction_type", "flow", "beta_start", "x"),
        false,
        problems);
    assertThat(problems.list())
        .extracting(Problem::toString)
        .containsExactlyInAnyOrder(
            "scheduler: thresholding: true (expected: false)",
            "scheduler: prediction_type: flow (expected: [epsilon, v_prediction, sample,"
                + " flow_prediction])",
            "scheduler: beta_start: x (expected: a number)");
  }

  @Test
  void aModelOfFlowMatchingRunsBySchedulersForIt() {
    Map<String, Object> sana =
        Map.of("prediction_type", "flow_prediction", "use_flow_sigmas", true, "flow_shift", 3.0);
    Map<String, Object> sd3 =
        Map.of("_class_name", "FlowMatchEulerDiscreteScheduler", "shift", 3.0);
    for (Map<String, Object> own : List.of(sana, sd3)) {
      for (SchedulerName name :
          List.of(
              SchedulerName.FlowMatchEulerDiscreteScheduler,
              SchedulerName.DPMSolverMultistepScheduler)) {
        Problems problems = new Problems();
        SchedulerConfig config = SchedulerConfig.of(name, own, false, problems);
        assertThat(problems.list()).isEmpty();
        assertThat(config.flow()).isTrue();
        assertThat(config.shift()).isEqualTo(3);
        assertThat(config.prediction()).isEqualTo(SchedulerConfig.Prediction.flow_prediction);
      }
      Problems problems = new Problems();
      SchedulerConfig.of(SchedulerName.DDIMScheduler, own, false, problems);
      SchedulerConfig.of(SchedulerName.DPMSolverMultistepScheduler, own, true, problems);
      SchedulerConfig.of(
          SchedulerName.DPMSolverMultistepScheduler,
          Map.of("prediction_type", "flow_prediction"),
          false,
          problems);
      assertThat(problems.list())
          .extracting(Problem::toString)
          .containsExactly(
              "scheduler: DDIMScheduler (expected: DPMSolverMultistepScheduler,"
                  + " FlowMatchEulerDiscreteScheduler; the model was trained by flow matching)",
              "scheduler: use_karras_sigmas: true (expected: false; the model was trained by flow"
                  + " matching)",
              "scheduler: prediction_type: flow_prediction (expected: one of the others, without"
                  + " use_flow_sigmas)");
    }
  }

  /** An image that a prediction of the image itself foretells is reached by every scheduler. */
  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {
        "PNDMScheduler",
        "DPMSolverSDEScheduler",
        "FlowMatchEulerDiscreteScheduler",
        "UnCLIPScheduler"
      })
  void aPerfectModelEndsAtTheImage(SchedulerName name) {
    for (boolean karras : new boolean[] {false, true}) {
      SchedulerConfig config =
          SchedulerConfig.of(
              name,
              Map.of("prediction_type", "sample", "clip_sample", false, "beta_schedule", "linear"),
              karras,
              new Problems());
      Schedule schedule = Schedule.of(config, 20, 0);
      float[] latent = {3f, -1f};
      float[] image = {0.25f, -0.5f};
      Latent state = new Latent(schedule, latent);
      for (int i = 0; i < schedule.steps().size(); i++) {
        schedule.advance(i, state, image, new float[] {0.3f, -0.4f});
      }
      assertThat(latent).containsExactly(image, within(0.02f));
    }
  }
}
