package io.lakegen.task.sample;

import io.lakegen.diffusion.NoiseSource;
import io.lakegen.image.ImageFormat;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.sample.ImageMaker.Made;
import io.lakegen.task.sample.ImageMaker.Request;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Images of the latents that seeds stand for. */
final class ImageSampler implements Task<ImageSampler.Prepared, List<Made>> {
  private final LoadedModel model;
  private final OptionValues options;
  private final Budget budget;
  private final ImageMaker maker;

  /** A row's images: one, or those on the way from a seed to another. */
  record Prepared(List<Request> images) {}

  /** A sampler over a loaded pack, which stays the caller's to close. */
  ImageSampler(LoadedModel model, OptionValues options, Budget budget) {
    this.model = model;
    this.options = options;
    this.budget = budget;
    this.maker =
        ImageMaker.of(model, options.get(Sample.TRUNCATION_PSI), options.get(Sample.SCORE));
  }

  @Override
  public Prepared prepare(RowInput row) throws RowException {
    float[] start = latent(whole(row, Sample.SEED));
    long label = 0;
    if (row.has(Sample.LABEL.name())) {
      label = whole(row, Sample.LABEL);
      if (label < 0 || label >= maker.classes()) {
        throw RowException.prepare(
            "bad_label", "label: " + label + " (expected: 0 to " + (maker.classes() - 1) + ")");
      }
    }
    if (!row.has(Sample.END_SEED.name())) {
      return new Prepared(List.of(new Request(start, label)));
    }
    float[] end = latent(whole(row, Sample.END_SEED));
    int steps = options.get(Sample.INTERPOLATION_STEPS);
    List<Request> images = new ArrayList<>(steps);
    for (int i = 0; i < steps; i++) {
      images.add(new Request(between(start, end, (double) i / Math.max(1, steps - 1)), label));
    }
    return new Prepared(images);
  }

  private float[] latent(long seed) {
    return NoiseSource.of(seed, 0).draw(NoiseSource.START, maker.latentSize());
  }

  private static long whole(RowInput row, Argument argument) throws RowException {
    byte[] bytes = row.bytes(argument.name());
    String text = bytes == null ? "null" : new String(bytes, StandardCharsets.UTF_8);
    try {
      return new BigDecimal(text.strip()).longValueExact();
    } catch (ArithmeticException | NumberFormatException e) {
      throw RowException.prepare(
          "bad_number", argument.name() + ": " + text + " (expected: a whole number)");
    }
  }

  /**
   * Along the great circle (Shoemake, SIGGRAPH 1985): between two normal latents a straight line
   * would lead through unlikely, short ones.
   */
  static float[] between(float[] start, float[] end, double share) {
    double product = 0;
    double lengths = Math.sqrt(square(start) * square(end));
    for (int i = 0; i < start.length; i++) {
      product += (double) start[i] * end[i];
    }
    double angle = lengths == 0 ? 0 : Math.acos(Math.max(-1, Math.min(1, product / lengths)));
    double sine = Math.sin(angle);
    double first = sine < 1e-6 ? 1 - share : Math.sin((1 - share) * angle) / sine;
    double second = sine < 1e-6 ? share : Math.sin(share * angle) / sine;
    float[] between = new float[start.length];
    for (int i = 0; i < between.length; i++) {
      between[i] = (float) (first * start[i] + second * end[i]);
    }
    return between;
  }

  private static double square(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return sum;
  }

  @Override
  public int size(Prepared row) {
    return row.images().size();
  }

  /** {@inheritDoc} What waits longest are the finished images. */
  @Override
  public long inputBytes(RowInput row) {
    long pixels = model.pack().spec().image().map(i -> (long) i.height() * i.width()).orElseThrow();
    int images = row.has(Sample.END_SEED.name()) ? options.get(Sample.INTERPOLATION_STEPS) : 1;
    return row.length() + 3 * pixels * images;
  }

  /** {@inheritDoc} A row of many images may be more than a batch. */
  @Override
  public List<List<Made>> infer(List<Prepared> batch) {
    List<Request> requests = batch.stream().flatMap(r -> r.images().stream()).toList();
    List<Made> made = new ArrayList<>(requests.size());
    int most = (int) Math.max(1, Math.min(requests.size(), budget.current()));
    for (int from = 0; from < requests.size(); from += most) {
      made.addAll(maker.make(requests.subList(from, Math.min(requests.size(), from + most))));
    }
    List<List<Made>> rows = new ArrayList<>(batch.size());
    int from = 0;
    for (Prepared row : batch) {
      rows.add(List.copyOf(made.subList(from, from + row.images().size())));
      from += row.images().size();
    }
    return rows;
  }

  @Override
  public List<List<Object>> values(List<Made> images) {
    List<List<Object>> rows = new ArrayList<>(images.size());
    for (Made made : images) {
      List<Object> values =
          new ArrayList<>(
              List.of(
                  options.get(ImageFormat.OPTION).file(made.image()),
                  made.image().width(),
                  made.image().height()));
      if (options.get(Sample.SCORE)) {
        values.add(made.score());
      }
      rows.add(values);
    }
    return rows;
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
