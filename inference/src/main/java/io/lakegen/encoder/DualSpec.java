package io.lakegen.encoder;

import io.lakegen.model.PackSection;
import java.util.Optional;

/**
 * The section {@code zero-shot-image-classification} of a pack, whose graphs {@code image} and
 * {@code text} give vectors of length 1 in one space.
 *
 * @param dimension values of a vector
 * @param scale what the product of an image's and a text's vector is multiplied by
 * @param bias what is added to it
 * @param function makes scores of the products
 * @param attention present where the pack can show a layer's attention to images
 */
public record DualSpec(
    int dimension,
    double scale,
    double bias,
    Function function,
    Optional<PictureAttention> attention) {
  /** The section's name. */
  public static final String PACK_TASK = "zero-shot-image-classification";

  /** Of what the scores are probabilities. */
  public enum Function {
    /** One text of several. */
    softmax,
    /** Each text by itself. */
    sigmoid
  }

  /** Reads the section. */
  public static DualSpec read(PackSection section) {
    section.keys("dimension", "scale", "bias", "function", "attention");
    return new DualSpec(
        section.positive("dimension"),
        section.positiveNumber("scale"),
        section.number("bias"),
        section.constant("function", Function.class),
        PictureAttention.read(section));
  }
}
