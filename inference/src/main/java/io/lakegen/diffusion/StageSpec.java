package io.lakegen.diffusion;

import ai.djl.ndarray.types.Shape;
import io.lakegen.diffusion.DiffusionSpec.Condition;
import io.lakegen.diffusion.DiffusionSpec.Latents;
import io.lakegen.model.PackSection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * One way from noise to a sample: to an image, or on the way there to an image's embedding or a
 * smaller image.
 *
 * @param name role of the graph that removes noise; a stage that follows another has a graph {@link
 *     #conditionsGraph} besides
 * @param last role of the graph that does so in the last step
 * @param scheduler diffusers' {@code scheduler_config.json}
 * @param lowResolutionScheduler likewise, of the noise that is added to pictures to enlarge; may be
 *     empty
 * @param latents of a sample that is an image or its latents
 * @param vector numbers of a sample that is an embedding; 0 for others
 * @param conditions what the denoiser takes after latents, time and texts, in this order
 * @param steps if nobody says how many
 * @param guidanceScale likewise; empty for a stage that knows no guidance
 * @param noiseLevel likewise, of the noise that is added to pictures to enlarge
 */
public record StageSpec(
    String name,
    String last,
    Kind kind,
    Map<String, Object> scheduler,
    Map<String, Object> lowResolutionScheduler,
    Latents latents,
    int vector,
    List<Condition> conditions,
    int steps,
    OptionalDouble guidanceScale,
    int noiseLevel) {
  /** What most pipelines of diffusers do; packs of models with other habits say so. */
  private static final int STEPS = 50;

  private static final double GUIDANCE_SCALE = 7.5;

  public StageSpec {
    scheduler = Map.copyOf(scheduler);
    lowResolutionScheduler = Map.copyOf(lowResolutionScheduler);
    conditions = List.copyOf(conditions);
  }

  /** What a stage is for, by its name in packs; stages follow each other in this order. */
  public enum Kind {
    /** Makes an image's embedding of the text's. */
    prior,
    /** Makes an image. */
    base,
    /** Makes an image larger. */
    superResolution
  }

  /** Role of the graph that makes its conditions of what the stage before made, and the texts. */
  public String conditionsGraph() {
    return name + "_conditions";
  }

  /** The scheduler that it was made for, if it is here. */
  public Optional<SchedulerName> ownScheduler() {
    return SchedulerName.of(scheduler.get("_class_name"));
  }

  /** Whether it makes pictures, or their latents. */
  boolean pictures() {
    return vector == 0;
  }

  /** Whether it enlarges pictures, its own or others. */
  boolean enlarges() {
    return conditions.contains(Condition.lowResolution)
        || conditions.contains(Condition.lowResolutionLatents);
  }

  /** The shape of samples for images of a size in pixels. */
  Shape shape(int rows, int height, int width) {
    return pictures() ? latents.shape(rows, height, width) : new Shape(rows, vector);
  }

  /** The only stage of a pack. */
  static StageSpec only(PackSection section) {
    return new StageSpec(
        "unet",
        "unet",
        Kind.base,
        section.values("scheduler"),
        lowResolutionScheduler(section),
        section.section("latents").map(Latents::read).orElse(Latents.NONE),
        0,
        section.constants("conditions", Condition.class),
        section.has("steps") ? section.positive("steps") : STEPS,
        OptionalDouble.of(section.number("guidanceScale", GUIDANCE_SCALE)),
        0);
  }

  /** A stage of several. */
  static StageSpec read(PackSection section) {
    section.keys(
        "name",
        "last",
        "kind",
        "scheduler",
        "lowResolutionScheduler",
        "latents",
        "vector",
        "conditions",
        "steps",
        "guidanceScale",
        "noiseLevel");
    Kind kind = section.constant("kind", Kind.class);
    String name = section.text("name");
    boolean vector = section.has("vector");
    return new StageSpec(
        name,
        section.has("last") ? section.text("last") : name,
        kind,
        section.values("scheduler"),
        lowResolutionScheduler(section),
        vector ? Latents.NONE : section.section("latents").map(Latents::read).orElse(Latents.NONE),
        vector ? section.positive("vector") : 0,
        section.constants("conditions", Condition.class),
        section.positive("steps"),
        kind == Kind.base || section.has("guidanceScale")
            ? OptionalDouble.of(section.number("guidanceScale", GUIDANCE_SCALE))
            : OptionalDouble.empty(),
        section.has("noiseLevel") ? section.positive("noiseLevel") : 0);
  }

  private static Map<String, Object> lowResolutionScheduler(PackSection section) {
    return section.has("lowResolutionScheduler")
        ? section.values("lowResolutionScheduler")
        : Map.of();
  }
}
