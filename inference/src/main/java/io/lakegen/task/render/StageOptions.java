package io.lakegen.task.render;

import io.lakegen.diffusion.DiffusionSpec;
import io.lakegen.diffusion.ImageRequest;
import io.lakegen.diffusion.SchedulerConfig;
import io.lakegen.diffusion.SchedulerName;
import io.lakegen.diffusion.StageSpec;
import io.lakegen.diffusion.StageSpec.Kind;
import io.lakegen.problem.Problems;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Options of the stages before and after the one that paints, which has those of the task. */
final class StageOptions {
  static final Option<Integer> PRIOR_NUM_INFERENCE_STEPS =
      Option.ofInt(
              "prior-num-inference-steps",
              null,
              "Of models with a prior: its steps from noise to an image's embedding.")
          .defaultsTo("the model's own");

  static final Option<Double> PRIOR_GUIDANCE_SCALE =
      Option.ofDouble("prior-guidance-scale", "Of models with a prior: weight of the prompt in it.")
          .defaultsTo("the model's own");

  static final Option<Integer> SUPER_RES_NUM_INFERENCE_STEPS =
      Option.ofInt(
              "super-res-num-inference-steps",
              null,
              "Of models that paint small and enlarge: steps of enlarging.")
          .defaultsTo("the model's own");

  static final Option<Double> SUPER_RES_GUIDANCE_SCALE =
      Option.ofDouble(
              "super-res-guidance-scale",
              "Of models that paint small and enlarge: weight of the prompt in enlarging.")
          .defaultsTo("the model's own");

  private StageOptions() {}

  private static Option<Integer> steps(Kind kind) {
    return switch (kind) {
      case prior -> PRIOR_NUM_INFERENCE_STEPS;
      case base -> Render.NUM_INFERENCE_STEPS;
      case superResolution -> SUPER_RES_NUM_INFERENCE_STEPS;
    };
  }

  private static Option<Double> guidanceScale(Kind kind) {
    return switch (kind) {
      case prior -> PRIOR_GUIDANCE_SCALE;
      case base -> Render.GUIDANCE_SCALE;
      case superResolution -> SUPER_RES_GUIDANCE_SCALE;
    };
  }

  /** The way through a stage: what was asked for, or the model's own. */
  static ImageRequest.Way way(StageSpec stage, OptionValues options) {
    Integer steps = options.get(steps(stage.kind()));
    Double scale = options.get(guidanceScale(stage.kind()));
    double own = stage.guidanceScale().orElse(1);
    return new ImageRequest.Way(
        steps == null ? stage.steps() : steps,
        scale == null || stage.guidanceScale().isEmpty() ? own : scale);
  }

  /** The ways of a row through all stages. */
  static List<ImageRequest.Way> ways(DiffusionSpec spec, OptionValues options, ImageOptions image) {
    List<ImageRequest.Way> ways = new ArrayList<>();
    for (StageSpec stage : spec.stages()) {
      ways.add(
          stage.kind() == Kind.base
              ? new ImageRequest.Way(image.numInferenceSteps(), image.guidanceScale())
              : way(stage, options));
    }
    return ways;
  }

  /** The noise that pictures to enlarge are seen with: what was asked for, or the model's own. */
  static int noiseLevel(DiffusionSpec spec, OptionValues options) {
    int own = spec.stages().stream().mapToInt(StageSpec::noiseLevel).max().orElse(0);
    return options.has(Render.NOISE_LEVEL) || own == 0 ? options.get(Render.NOISE_LEVEL) : own;
  }

  /** The schedulers of all stages; {@code base} is that of {@link Kind#base}. */
  static List<SchedulerConfig> schedulers(
      DiffusionSpec spec, SchedulerConfig base, Problems problems) {
    List<SchedulerConfig> schedulers = new ArrayList<>();
    for (StageSpec stage : spec.stages()) {
      Optional<SchedulerName> own = stage.ownScheduler();
      if (stage.kind() == Kind.base) {
        schedulers.add(base);
      } else if (own.isPresent()) {
        schedulers.add(SchedulerConfig.of(own.get(), stage.scheduler(), false, problems));
      } else {
        problems.add(
            "model",
            stage.name() + " with " + stage.scheduler().get("_class_name"),
            "one of " + List.of(SchedulerName.values()));
      }
    }
    return schedulers;
  }

  /** Checks the options of the stages, and that there are such stages. */
  static void check(
      OptionValues options, DiffusionSpec spec, SchedulerConfig base, Problems problems) {
    List<SchedulerConfig> schedulers = schedulers(spec, base, problems);
    for (Kind kind : Kind.values()) {
      List<StageSpec> stages = spec.stages().stream().filter(s -> s.kind() == kind).toList();
      Option<Integer> steps = steps(kind);
      Option<Double> scale = guidanceScale(kind);
      if (options.has(steps) && stages.isEmpty()) {
        problems.add(steps.name(), options.get(steps), "none; the model has no such stage");
      }
      if (options.has(scale) && stages.stream().noneMatch(s -> s.guidanceScale().isPresent())) {
        problems.add(scale.name(), options.get(scale), "none; the model has no such guidance");
      }
    }
    for (int i = 0; i < Math.min(schedulers.size(), spec.stages().size()); i++) {
      StageSpec stage = spec.stages().get(i);
      if (stage.kind() != Kind.base) {
        ImageOptions.checkSteps(
            steps(stage.kind()).name(), way(stage, options).steps(), schedulers.get(i), problems);
      }
    }
  }
}
