package io.lakegen.encoder;

import io.lakegen.model.PackSection;
import java.util.Optional;

/**
 * What the graph {@value #ROLE} of a pack gives beside a picture's vector: how much each token
 * looks at each other in one layer, {@code [batch, tokens, tokens]}.
 *
 * @param tokens of a picture; the last {@code height * width} are its patches, row by row
 * @param height rows of patches
 * @param width columns of patches
 */
public record PictureAttention(int tokens, int height, int width) {
  /** Role of the graph. */
  public static final String ROLE = "attention";

  /** Reads the key {@code attention} of a section; empty where the pack has no such graph. */
  public static Optional<PictureAttention> read(PackSection section) {
    return section.optional("attention").map(PictureAttention::readFields);
  }

  private static PictureAttention readFields(PackSection section) {
    section.keys("layer", "tokens", "height", "width");
    int height = section.positive("height");
    int width = section.positive("width");
    int tokens =
        section.integer(
            "tokens",
            1,
            n -> n >= (long) height * width,
            "a whole number, at least height times width");
    return new PictureAttention(tokens, height, width);
  }
}
