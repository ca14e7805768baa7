package io.lakegen.image;

import com.twelvemonkeys.imageio.plugins.bmp.BMPImageReaderSpi;
import com.twelvemonkeys.imageio.plugins.tiff.BigTIFFImageReaderSpi;
import com.twelvemonkeys.imageio.plugins.tiff.TIFFImageReaderSpi;
import com.twelvemonkeys.imageio.stream.ByteArrayImageInputStream;
import java.awt.image.BufferedImage;
import java.io.EOFException;
import java.io.IOException;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import org.w3c.dom.Element;

/** A PNG, GIF, BMP or TIFF file, decoded by the JDK's or TwelveMonkeys' ImageIO reader. */
final class ImageIoImage implements EncodedImage {
  /**
   * Above this number of pixels one image is decoded at a time: these formats are decoded whole,
   * and several large ones side by side could fill the heap.
   */
  private static final long ONE_AT_A_TIME = 25_000_000;

  private static final byte GIF_TRAILER = 0x3B;
  private static final Object LARGE = new Object();

  private final ImageDecoder.Format format;
  private final byte[] file;
  private final int orientation;
  private final int height;
  private final int width;
  private int top;
  private int left;

  static ImageIoImage open(ImageDecoder.Format format, byte[] file) throws IOException {
    int orientation =
        switch (format) {
          case PNG -> PngChunks.check(file);
          case TIFF -> tiffOrientation(file);
          default -> Orientation.NORMAL;
        };
    return new ImageIoImage(format, file, orientation);
  }

  private ImageIoImage(ImageDecoder.Format format, byte[] file, int orientation)
      throws IOException {
    this.format = format;
    this.file = file;
    this.orientation = orientation;
    ImageReader reader = reader();
    try (ByteArrayImageInputStream in = new ByteArrayImageInputStream(file)) {
      reader.setInput(in);
      int frameHeight = reader.getHeight(0);
      int frameWidth = reader.getWidth(0);
      if (format == ImageDecoder.Format.GIF) {
        // A GIF's first frame may cover a part of the picture only.
        Element frame = child(reader.getImageMetadata(0).getAsTree("javax_imageio_gif_image_1.0"));
        top = Integer.parseInt(frame.getAttribute("imageTopPosition"));
        left = Integer.parseInt(frame.getAttribute("imageLeftPosition"));
        frameHeight = Math.max(top + frameHeight, (file[8] & 0xFF) | (file[9] & 0xFF) << 8);
        frameWidth = Math.max(left + frameWidth, (file[6] & 0xFF) | (file[7] & 0xFF) << 8);
      }
      this.height = frameHeight;
      this.width = frameWidth;
    } catch (IOException e) {
      throw truncated(e) ? new EOFException() : e;
    } finally {
      reader.dispose();
    }
  }

  private static int tiffOrientation(byte[] file) throws IOException {
    // The directory often is the last thing in the file; the readers take a missing one for an
    // empty one.
    if (TiffHeader.directory(file) >= file.length) {
      throw new EOFException();
    }
    return Orientation.read(file, 0, file.length);
  }

  private static Element child(org.w3c.dom.Node gifImage) {
    for (org.w3c.dom.Node node = gifImage.getFirstChild(); ; node = node.getNextSibling()) {
      if (node.getNodeName().equals("ImageDescriptor")) {
        return (Element) node;
      }
    }
  }

  private ImageReader reader() throws IOException {
    // By name, not through ImageIO's registry, which depends on the class loader that filled it.
    return switch (format) {
      case TIFF ->
          TiffHeader.big(file)
              ? new BigTIFFImageReaderSpi().createReaderInstance(null)
              : new TIFFImageReaderSpi().createReaderInstance(null);
      case BMP -> new BMPImageReaderSpi().createReaderInstance(null);
      default -> ImageIO.getImageReadersByFormatName(format.name()).next();
    };
  }

  @Override
  public int height() {
    return height;
  }

  @Override
  public int width() {
    return width;
  }

  @Override
  public int orientation() {
    return orientation;
  }

  @Override
  public Pixels decode(int minHeight, int minWidth) throws IOException {
    if ((long) height * width <= ONE_AT_A_TIME) {
      return decode();
    }
    synchronized (LARGE) {
      return decode();
    }
  }

  private Pixels decode() throws IOException {
    ImageReader reader = reader();
    try (ByteArrayImageInputStream in = new ByteArrayImageInputStream(file)) {
      reader.setInput(in, true, true);
      BufferedImage image = reader.read(0);
      return RgbPixels.of(image).onCanvas(height, width, top, left);
    } catch (IOException e) {
      throw truncated(e) ? new EOFException() : e;
    } finally {
      reader.dispose();
    }
  }

  private boolean truncated(Throwable failure) {
    if (format == ImageDecoder.Format.GIF && file[file.length - 1] != GIF_TRAILER) {
      return true;
    }
    for (Throwable t = failure; t != null; t = t.getCause() == t ? null : t.getCause()) {
      if (t instanceof EOFException) {
        return true;
      }
    }
    return false;
  }
}
