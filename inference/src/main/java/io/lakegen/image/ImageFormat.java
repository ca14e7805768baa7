package io.lakegen.image;

import io.lakegen.task.Option;

/** Formats of images that models make. */
public enum ImageFormat {
  png {
    @Override
    public byte[] file(RgbImage image) {
      return ImageFiles.png(image);
    }
  },
  /** Below a quality of 95, JPEG's blocks are seen around the sharp edges of drawings. */
  jpeg {
    @Override
    public byte[] file(RgbImage image) {
      return ImageFiles.jpeg(image, 0.95f);
    }
  };

  /** The option that chooses one. */
  public static final Option<ImageFormat> OPTION =
      Option.ofEnum(
          "image-format",
          ImageFormat.class,
          png,
          "NAME",
          "Format of the images; jpeg has quality 95.");

  /** An image as a file. */
  public abstract byte[] file(RgbImage image);
}
