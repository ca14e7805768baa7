package io.lakegen.task.match;

import io.lakegen.model.PackSection;
import java.util.Optional;

/**
 * The section {@code image-text-matching} of a pack.
 *
 * @param imageTokens what the model makes of a picture
 * @param heatMap present where the pack can make heat maps
 */
record MatchSpec(int imageTokens, Optional<HeatMap> heatMap) {

  /**
   * Heat maps.
   *
   * @param height rows of a map
   * @param width columns of a map
   */
  record HeatMap(int height, int width) {}

  static MatchSpec read(PackSection section) {
    section.keys("imageTokens", "heatMap");
    return new MatchSpec(
        section.positive("imageTokens"), section.optional("heatMap").map(MatchSpec::heatMap));
  }

  private static HeatMap heatMap(PackSection section) {
    section.keys("layer", "height", "width");
    return new HeatMap(section.positive("height"), section.positive("width"));
  }
}
