package io.lakegen.diffusion;

/**
 * One image to render. Requests share a batch if they agree in size, steps, {@link #guided} and
 * {@link #begin}.
 *
 * @param prompt token ids, padded to the length that the text encoder was trained with
 * @param negativePrompt likewise; what guidance leads away from
 * @param height in pixels, a multiple of the pack's {@code latents.scale * latents.multiple}
 * @param width likewise
 * @param steps from pure noise
 * @param guidanceScale weight of the prompt, {@code w} of equation 2 of Imagen (arXiv 2205.11487);
 *     1 or less for no guidance
 * @param initImage what the image starts from, {@code [3, height, width]} in -1..1; null for noise
 * @param begin steps to leave out with {@code initImage}
 */
public record ImageRequest(
    long[] prompt,
    long[] negativePrompt,
    NoiseSource noise,
    int height,
    int width,
    int steps,
    double guidanceScale,
    float[] initImage,
    int begin) {
  /** Whether there is guidance. */
  public boolean guided() {
    return guidanceScale > 1;
  }
}
