package io.lakegen.image;

/** Small JPEGs to look at. */
public final class Thumbnail {
  /** Longest side in pixels that can be asked for. */
  public static final int MAX_SIDE = 1024;

  private static final float QUALITY = 0.75f;

  private Thumbnail() {}

  /**
   * A JPEG of an image whose longest side is {@code side}, or as long as it is if it is shorter.
   */
  public static byte[] jpeg(RgbImage image, int side) {
    int longest = Math.max(image.height(), image.width());
    RgbImage small =
        longest <= side
            ? image
            : ImageFiles.resize(
                image,
                Math.max(1, image.height() * side / longest),
                Math.max(1, image.width() * side / longest));
    return ImageFiles.jpeg(small, QUALITY);
  }
}
