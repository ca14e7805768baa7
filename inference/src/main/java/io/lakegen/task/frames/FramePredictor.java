package io.lakegen.task.frames;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.diffusion.Autoencoder;
import io.lakegen.image.ImageDecoder;
import io.lakegen.image.ImageFiles;
import io.lakegen.image.ImageFormat;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Frames after frames: the model sees as many as the row has, and each that it foretells takes the
 * place of the oldest.
 */
final class FramePredictor implements Task<FramePredictor.Prepared, List<RgbImage>> {
  private final LoadedModel model;
  private final OptionValues options;
  private final int height;
  private final int width;

  /**
   * A row ready to foretell.
   *
   * @param frames {@code [number, 3, height, width]} in -1..1
   */
  record Prepared(float[] frames, int number) {}

  /** A predictor over a loaded pack, which stays the caller's to close. */
  FramePredictor(LoadedModel model, OptionValues options) {
    this.model = model;
    this.options = options;
    PackSpec.Image image = model.pack().spec().image().orElseThrow();
    this.height = image.height();
    this.width = image.width();
  }

  private int pixels() {
    return 3 * height * width;
  }

  @Override
  public Prepared prepare(RowInput row) throws RowException {
    List<byte[]> files = row.images(NextFrame.FRAMES.name());
    float[] frames = new float[files.size() * pixels()];
    for (int i = 0; i < files.size(); i++) {
      RgbImage frame =
          ImageFiles.resize(ImageDecoder.decode(files.get(i), height, width), height, width);
      System.arraycopy(Autoencoder.values(frame), 0, frames, i * pixels(), pixels());
    }
    return new Prepared(frames, files.size());
  }

  @Override
  public int size(Prepared row) {
    return row.number();
  }

  /** {@inheritDoc} Rows of as many frames. */
  @Override
  public Object group(Prepared row) {
    return row.number();
  }

  @Override
  public List<List<RgbImage>> infer(List<Prepared> batch) {
    int rows = batch.size();
    int each = batch.get(0).frames().length;
    float[] seen = new float[rows * each];
    for (int row = 0; row < rows; row++) {
      System.arraycopy(batch.get(row).frames(), 0, seen, row * each, each);
    }
    List<List<RgbImage>> images = new ArrayList<>(rows);
    batch.forEach(r -> images.add(new ArrayList<>()));
    for (int frame = 0; frame < options.get(NextFrame.NUM_FRAMES); frame++) {
      float[] next = next(seen, rows, batch.get(0).number());
      for (int row = 0; row < rows; row++) {
        images.get(row).add(Autoencoder.rgb(next, row, height, width));
        int at = row * each;
        System.arraycopy(seen, at + pixels(), seen, at, each - pixels());
        System.arraycopy(next, row * pixels(), seen, at + each - pixels(), pixels());
      }
    }
    return images;
  }

  private float[] next(float[] seen, int rows, int number) {
    try (NDManager manager = model.newManager()) {
      Shape shape = new Shape(rows, number, 3, height, width);
      return model.graph("model").run(manager.create(seen, shape)).head().toFloatArray();
    }
  }

  @Override
  public List<List<Object>> values(List<RgbImage> images) {
    List<List<Object>> rows = new ArrayList<>(images.size());
    for (RgbImage image : images) {
      rows.add(List.of(options.get(ImageFormat.OPTION).file(image), image.width(), image.height()));
    }
    return rows;
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
