package io.lakegen.task.encode;

import io.lakegen.diffusion.Autoencoder;
import io.lakegen.diffusion.AutoencoderSpec;
import io.lakegen.diffusion.NoiseSource;
import io.lakegen.image.ImageDecoder;
import io.lakegen.image.ImageFiles;
import io.lakegen.image.ImageFormat;
import io.lakegen.image.ImageQuality;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Latents of images, and what they decode to. */
final class ImageEncoder implements Task<ImageEncoder.Prepared, ImageEncoder.Encoded> {
  private final LoadedModel model;
  private final OptionValues options;
  private final Autoencoder autoencoder;
  private final int height;
  private final int width;
  private final int[] shape;

  /**
   * A row ready to encode.
   *
   * @param image scaled
   * @param other likewise; null without interpolation
   */
  record Prepared(RgbImage image, RgbImage other, long seed) {}

  /**
   * A row's result.
   *
   * @param decoded null where latents are not decoded
   */
  record Encoded(float[] latents, RgbImage image, RgbImage decoded) {}

  /** An encoder over a loaded pack, which stays the caller's to close. */
  ImageEncoder(LoadedModel model, OptionValues options) {
    this.model = model;
    this.options = options;
    AutoencoderSpec spec = AutoencoderSpec.of(model.pack().spec());
    this.autoencoder = new Autoencoder(model, spec.latents());
    this.height = Encode.height(options, model.pack().spec());
    this.width = Encode.width(options, model.pack().spec());
    int scale = spec.latents().scale();
    this.shape = new int[] {spec.latents().channels(), height / scale, width / scale};
  }

  @Override
  public Prepared prepare(RowInput row) throws RowException {
    String other = Encode.OTHER.name();
    return new Prepared(
        scaled(row.bytes(Encode.IMAGE.name())),
        row.has(other) ? scaled(row.bytes(other)) : null,
        row.seed());
  }

  private RgbImage scaled(byte[] file) throws RowException {
    return ImageFiles.resize(ImageDecoder.decode(file, height, width), height, width);
  }

  @Override
  public int size(Prepared row) {
    return height * width;
  }

  /** {@inheritDoc} The images as they are decoded. */
  @Override
  public long inputBytes(RowInput row) {
    return row.length() + 6L * height * width;
  }

  @Override
  public List<Encoded> infer(List<Prepared> batch) {
    List<float[]> latents = encode(batch.stream().map(Prepared::image).toList(), batch, 0);
    if (options.has(Encode.OTHER.column())) {
      mix(latents, encode(batch.stream().map(Prepared::other).toList(), batch, 1));
    }
    List<RgbImage> decoded =
        Encode.decodes(options) ? autoencoder.decode(latents, height, width) : null;
    List<Encoded> results = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      results.add(
          new Encoded(
              latents.get(i), batch.get(i).image(), decoded == null ? null : decoded.get(i)));
    }
    return results;
  }

  /**
   * Latents of images.
   *
   * @param image which of a row's images they are
   */
  private List<float[]> encode(List<RgbImage> images, List<Prepared> batch, int image) {
    int count = autoencoder.count(height, width);
    List<float[]> noise =
        batch.stream()
            .map(
                row ->
                    options.get(Encode.SAMPLE)
                        ? NoiseSource.of(row.seed(), image).draw(NoiseSource.ENCODER, count)
                        : new float[count])
            .toList();
    return autoencoder.encode(
        images.stream().map(Autoencoder::values).toList(), noise, height, width);
  }

  private void mix(List<float[]> latents, List<float[]> others) {
    double weight = options.get(Encode.INTERPOLATION_WEIGHT);
    for (int row = 0; row < latents.size(); row++) {
      float[] one = latents.get(row);
      for (int i = 0; i < one.length; i++) {
        one[i] = (float) ((1 - weight) * one[i] + weight * others.get(row)[i]);
      }
    }
  }

  @Override
  public List<List<Object>> values(Encoded result) {
    List<Object> values = new ArrayList<>(List.of(result.latents(), shape.clone()));
    if (result.decoded() != null) {
      values.add(options.get(ImageFormat.OPTION).file(result.decoded()));
    }
    if (options.get(Encode.RECONSTRUCT)) {
      values.add(ImageQuality.psnr(result.image(), result.decoded()));
      values.add(ImageQuality.ssim(result.image(), result.decoded()));
    }
    return List.of(values);
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
