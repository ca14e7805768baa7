package io.lakegen.task.decode;

import io.lakegen.diffusion.Autoencoder;
import io.lakegen.diffusion.AutoencoderSpec;
import io.lakegen.image.ImageFormat;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/** Images of latents. */
final class LatentDecoder implements Task<LatentDecoder.Prepared, RgbImage> {
  private final LoadedModel model;
  private final OptionValues options;
  private final AutoencoderSpec spec;
  private final Autoencoder autoencoder;

  /** Latents of an image of a size in pixels. */
  record Prepared(float[] latents, int height, int width) {}

  private record Size(int height, int width) {}

  /** A decoder over a loaded pack, which stays the caller's to close. */
  LatentDecoder(LoadedModel model, OptionValues options) {
    this.model = model;
    this.options = options;
    this.spec = AutoencoderSpec.of(model.pack().spec());
    this.autoencoder = new Autoencoder(model, spec.latents());
  }

  @Override
  public Prepared prepare(RowInput row) throws RowException {
    float[] latents = row.vector(Decode.LATENTS.name());
    PackSpec.Image own = model.pack().spec().image().orElseThrow();
    int height = own.height();
    int width = own.width();
    if (row.has(Decode.SHAPE.name())) {
      float[] shape = row.vector(Decode.SHAPE.name());
      if (shape.length != 3 || shape[0] != spec.latents().channels()) {
        throw RowException.prepare(
            "bad_shape",
            "shape: "
                + Arrays.toString(shape)
                + " (expected: "
                + spec.latents().channels()
                + " channels, height, width)");
      }
      height = ((int) shape[1]) * spec.latents().scale();
      width = ((int) shape[2]) * spec.latents().scale();
      Problems problems = new Problems();
      spec.checkSize(model.pack().spec(), height, width, problems);
      if (!problems.isEmpty()) {
        throw RowException.prepare("bad_shape", problems.list().get(0).toString());
      }
    }
    int expected = autoencoder.count(height, width);
    if (latents.length != expected) {
      throw RowException.prepare(
          "bad_latents",
          latents.length
              + " latents (expected: "
              + expected
              + " for an image of "
              + height
              + " x "
              + width
              + " pixels)");
    }
    return new Prepared(latents, height, width);
  }

  @Override
  public int size(Prepared row) {
    return row.height() * row.width();
  }

  @Override
  public Object group(Prepared row) {
    return new Size(row.height(), row.width());
  }

  @Override
  public List<RgbImage> infer(List<Prepared> batch) {
    Prepared first = batch.get(0);
    return autoencoder.decode(
        batch.stream().map(Prepared::latents).toList(), first.height(), first.width());
  }

  @Override
  public List<List<Object>> values(RgbImage image) {
    return List.of(
        List.of(options.get(ImageFormat.OPTION).file(image), image.width(), image.height()));
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
