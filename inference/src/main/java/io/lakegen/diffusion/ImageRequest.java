package io.lakegen.diffusion;

import java.util.List;

/**
 * One image to render. Requests share a batch if they agree in size, steps, {@link Way#guided} and
 * {@link #begin}.
 *
 * @param prompt token ids, padded to the length that the text encoder was trained with
 * @param negativePrompt likewise; what guidance leads away from
 * @param height in pixels, a multiple of the pack's {@code latents.scale * latents.multiple}
 * @param width likewise
 * @param ways through each stage of the model
 * @param begin steps to leave out where a picture is the start
 */
public record ImageRequest(
    long[] prompt,
    long[] negativePrompt,
    NoiseSource noise,
    int height,
    int width,
    List<Way> ways,
    Pictures pictures,
    int begin) {
  public ImageRequest {
    ways = List.copyOf(ways);
  }

  /**
   * The way through a stage.
   *
   * @param steps from pure noise
   * @param guidanceScale weight of the prompt, {@code w} of equation 2 of Imagen (arXiv
   *     2205.11487); 1 or less for no guidance
   */
  public record Way(int steps, double guidanceScale) {
    /** Whether there is guidance. */
    public boolean guided() {
      return guidanceScale > 1;
    }
  }

  /**
   * Pictures that an image is made from, of its size.
   *
   * @param init what it starts from, {@code [3, height, width]} in -1..1; null for noise. Of a
   *     model that enlarges, what is enlarged, smaller by the pack's {@code latents.scale}
   * @param mask what is painted anew, {@code [height, width]}: 1 there, else 0; null for all
   * @param control what the image follows, {@code [3, height, width]} in 0..1; null for nothing
   * @param controlScale how closely
   * @param noiseLevel training timestep of the noise that is added to what is enlarged, be it what
   *     an earlier stage has made
   */
  public record Pictures(
      float[] init, float[] mask, float[] control, double controlScale, int noiseLevel) {}
}
