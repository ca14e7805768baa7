package io.lakegen.task.embed;

import io.lakegen.encoder.DualSpec;
import io.lakegen.encoder.PictureAttention;
import io.lakegen.model.PackSection;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import java.util.List;
import java.util.Optional;

/**
 * What a pack says of its vectors of images.
 *
 * @param role of the graph that makes them
 * @param dimension values of a vector
 * @param attention present where the pack can show a layer's attention
 */
record ImageEmbeddingSpec(String role, int dimension, Optional<PictureAttention> attention) {

  /** Of a pack for images alone, or for images and texts. */
  static ImageEmbeddingSpec of(PackSpec pack) {
    return pack.tasks().contains(Embed.IMAGES)
        ? pack.section(Embed.IMAGES, ImageEmbeddingSpec::ofImages)
        : pack.section(DualSpec.PACK_TASK, ImageEmbeddingSpec::ofBoth);
  }

  /** The same, with what is wrong. */
  static ImageEmbeddingSpec read(PackSpec pack, Problems problems) {
    return pack.tasks().contains(Embed.IMAGES)
        ? ofImages(pack.section(Embed.IMAGES, problems))
        : ofBoth(pack.section(DualSpec.PACK_TASK, problems));
  }

  private static ImageEmbeddingSpec ofImages(PackSection section) {
    section.keys("dimension", "attention");
    return new ImageEmbeddingSpec(
        "model", section.positive("dimension"), PictureAttention.read(section));
  }

  private static ImageEmbeddingSpec ofBoth(PackSection section) {
    DualSpec spec = DualSpec.read(section);
    return new ImageEmbeddingSpec("image", spec.dimension(), spec.attention());
  }

  /** The roles of the graphs that the pack must have. */
  List<String> roles() {
    return attention.isPresent() ? List.of(role, PictureAttention.ROLE) : List.of(role);
  }
}
