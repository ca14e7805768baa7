package io.lakegen.task.render;

import io.lakegen.image.ImageFiles;
import io.lakegen.image.RgbImage;

/** Formats of rendered images. */
enum ImageFormat {
  png {
    @Override
    byte[] file(RgbImage image) {
      return ImageFiles.png(image);
    }
  },
  /** Below a quality of 95, JPEG's blocks are seen around the sharp edges of drawings. */
  jpeg {
    @Override
    byte[] file(RgbImage image) {
      return ImageFiles.jpeg(image, 0.95f);
    }
  };

  /** An image as a file. */
  abstract byte[] file(RgbImage image);
}
