package io.lakegen.diffusion;

import ai.djl.ndarray.types.Shape;
import io.lakegen.diffusion.StageSpec.Kind;
import io.lakegen.model.PackSection;
import io.lakegen.problem.Problems;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * The section of a pack for tasks that render by diffusion.
 *
 * @param stages in the order in which they run, one of them of {@link Kind#base}
 */
public record DiffusionSpec(List<StageSpec> stages) {
  public DiffusionSpec {
    stages = List.copyOf(stages);
  }

  /** Conditions by their names in packs, where their inputs are described. */
  public enum Condition {
    /** A mask and the latents of a picture without what is masked. */
    inpaint,
    /** A picture that the image follows, such as edges or depths, and how closely. */
    control,
    /** A picture to enlarge, with a little noise, and how much. */
    lowResolution,
    /** The latents of a picture to enlarge. */
    lowResolutionLatents
  }

  /** How many times as long sides become where latents are what is enlarged. */
  static final int LATENTS_FACTOR = 2;

  /**
   * The latent space.
   *
   * @param channels channels of a latent
   * @param scale pixels per latent along each side
   * @param multiple sides of a latent image are multiples of this, since the model halves them
   * @param scalingFactor what latents are divided by before decoding
   * @param shift what is added to them then
   * @param maxSide longest side of an image in pixels
   */
  public record Latents(
      int channels, int scale, int multiple, double scalingFactor, double shift, int maxSide) {
    private static final int MAX_SIDE = 4096;

    /** Of a section that is wrong, and of samples that are no pictures. */
    static final Latents NONE = new Latents(1, 1, 1, 1, 0, MAX_SIDE);

    static Latents read(PackSection section) {
      section.keys("channels", "scale", "multiple", "scalingFactor", "shift", "maxSide");
      return new Latents(
          section.positive("channels"),
          section.positive("scale"),
          section.positive("multiple"),
          section.positiveNumber("scalingFactor"),
          section.number("shift", 0),
          section.has("maxSide") ? section.positive("maxSide") : MAX_SIDE);
    }

    /** Checks a side of an image. */
    public void checkSide(String key, int value, Problems problems) {
      int multiple = pixelMultiple();
      if (value < multiple || value > maxSide || value % multiple != 0) {
        problems.add(key, value, "a multiple of " + multiple + " pixels, at most " + maxSide);
      }
    }

    /** Sides of an image are multiples of this many pixels. */
    public int pixelMultiple() {
      return scale * multiple;
    }

    /** The latents' shape for images of a size in pixels. */
    Shape shape(int rows, int height, int width) {
      return new Shape(rows, channels, height / scale, width / scale);
    }
  }

  /** The stage that paints: its options are those of a model of one stage. */
  public StageSpec base() {
    return stages.stream()
        .filter(s -> s.kind() == Kind.base)
        .findFirst()
        .orElseGet(() -> stages.get(0));
  }

  /** Of the images, with what all stages ask of their sides. */
  public Latents latents() {
    Latents last = stages.get(stages.size() - 1).latents();
    int multiple = last.pixelMultiple();
    for (StageSpec stage : stages) {
      int own = stage.latents().pixelMultiple();
      while (multiple % own != 0) {
        multiple += last.pixelMultiple();
      }
    }
    return new Latents(
        last.channels(),
        last.scale(),
        multiple / last.scale(),
        last.scalingFactor(),
        last.shift(),
        last.maxSide());
  }

  /** Whether there is more than one stage. */
  public boolean cascades() {
    return stages.size() > 1;
  }

  /** Whether the model enlarges pictures that it is given. */
  public boolean enlarges() {
    return !cascades() && base().enlarges();
  }

  /** How many times as long as a picture's sides those of the enlarged one are. */
  public int factor() {
    return takesNoiseLevel() ? latents().scale() : LATENTS_FACTOR;
  }

  /** Whether pictures to enlarge, be they its own, are seen with noise. */
  public boolean takesNoiseLevel() {
    return stages.stream().anyMatch(s -> s.conditions().contains(Condition.lowResolution));
  }

  /** Roles of the graphs that its stages run, those of texts and of an autoencoder aside. */
  public Set<String> graphs() {
    Set<String> roles = new TreeSet<>();
    for (StageSpec stage : stages) {
      roles.add(stage.name());
      roles.add(stage.last());
    }
    stages.stream().skip(1).map(StageSpec::conditionsGraph).forEach(roles::add);
    return roles;
  }

  /** Reads and checks the section. */
  public static DiffusionSpec read(PackSection section) {
    if (!section.has("stages")) {
      section.keys(
          "scheduler", "lowResolutionScheduler", "latents", "conditions", "steps", "guidanceScale");
      return new DiffusionSpec(List.of(StageSpec.only(section)));
    }
    section.keys("stages");
    List<StageSpec> stages = new ArrayList<>();
    for (PackSection stage : section.sections("stages")) {
      StageSpec read = StageSpec.read(stage);
      // What other conditions are made of comes with the rows, which no stage but an only one sees.
      boolean follows = !stages.isEmpty();
      if (!(follows ? List.of(Condition.lowResolution) : List.of())
          .containsAll(read.conditions())) {
        stage.problem(
            "conditions", read.conditions(), "lowResolution, of a stage that follows another");
      }
      stages.add(read);
    }
    List<Kind> kinds = stages.stream().map(StageSpec::kind).toList();
    if (stages.isEmpty()
        || kinds.stream().filter(k -> k == Kind.base).count() != 1
        || !kinds.stream().sorted().toList().equals(kinds)
        || !stages.get(stages.size() - 1).pictures()) {
      section.problem(
          "stages", kinds, "prior, base, superResolution in this order, one of them base");
    }
    return new DiffusionSpec(stages.isEmpty() ? List.of(StageSpec.only(section)) : stages);
  }
}
