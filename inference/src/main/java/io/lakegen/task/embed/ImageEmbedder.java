package io.lakegen.task.embed;

import io.lakegen.encoder.DualSpec;
import io.lakegen.encoder.PictureTask;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSection;
import io.lakegen.model.PackSpec;
import java.util.List;

/**
 * Vectors of images: of a model for images alone, or for images and texts in one space. The graph
 * pools, and normalises those of the latter.
 */
final class ImageEmbedder extends PictureTask<float[]> {

  /** An embedder over a loaded pack, which stays the caller's to close. */
  ImageEmbedder(LoadedModel model) {
    super(model, role(model.pack().spec()), dimension(model.pack().spec()));
  }

  private static String role(PackSpec pack) {
    return pack.tasks().contains(Embed.IMAGES) ? "model" : "image";
  }

  private static int dimension(PackSpec pack) {
    return pack.tasks().contains(Embed.IMAGES)
        ? pack.section(Embed.IMAGES, ImageEmbedder::readDimension)
        : pack.section(DualSpec.PACK_TASK, DualSpec::read).dimension();
  }

  /** Reads the section {@code image-feature-extraction} of a pack. */
  static int readDimension(PackSection section) {
    section.keys("dimension");
    return section.positive("dimension");
  }

  @Override
  protected float[] result(float[] vector) {
    return Pooler.requireFinite(vector);
  }

  @Override
  public List<List<Object>> values(float[] vector) {
    return List.of(List.of(vector));
  }
}
