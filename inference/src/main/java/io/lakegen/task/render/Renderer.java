package io.lakegen.task.render;

import ai.djl.huggingface.tokenizers.Encoding;
import io.lakegen.diffusion.Autoencoder;
import io.lakegen.diffusion.DiffusionPipeline;
import io.lakegen.diffusion.DiffusionSpec;
import io.lakegen.diffusion.ImageRequest;
import io.lakegen.diffusion.NoiseSource;
import io.lakegen.diffusion.SchedulerConfig;
import io.lakegen.diffusion.SchedulerName;
import io.lakegen.image.ImageDecoder;
import io.lakegen.image.ImageFiles;
import io.lakegen.image.ImageFormat;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.OutOfMemory;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.render.Render.Overridable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Images from a {@code text-to-image} pack. A row's images depend on its seed, prompt and options
 * only: the noise is the row's own.
 */
final class Renderer implements Task<Renderer.PreparedRender, List<Renderer.RenderedImage>> {
  private final LoadedModel model;
  private final OptionValues options;
  private final ImageOptions defaults;
  private final Budget budget;
  private final PackSpec spec;
  private final DiffusionSpec diffusion;
  private final SchedulerName schedulerName;
  private final SchedulerConfig scheduler;
  private final DiffusionPipeline pipeline;

  /**
   * A row ready to render.
   *
   * @param ids of the prompt, padded
   * @param negativeIds of the negative prompt, padded
   * @param truncated true if the text encoder reads only the beginning of the prompt
   * @param begin steps that the init image takes the place of
   */
  record PreparedRender(
      long[] ids,
      long[] negativeIds,
      boolean truncated,
      ImageOptions options,
      long seed,
      ImageRequest.Pictures pictures,
      int begin) {}

  /** A finished image and the row it belongs to. */
  record RenderedImage(RgbImage pixels, PreparedRender row) {}

  /** A renderer over a loaded pack, which stays the caller's to close. */
  Renderer(LoadedModel model, OptionValues options, Budget budget) {
    this.model = model;
    this.options = options;
    this.budget = budget;
    this.spec = model.pack().spec();
    this.diffusion = spec.section(Render.PACK_TASK, DiffusionSpec::read);
    this.defaults = ImageOptions.of(options, spec.image().orElseThrow(), diffusion.base());
    this.schedulerName = Render.scheduler(options, diffusion).orElseThrow();
    Problems problems = new Problems();
    this.scheduler =
        SchedulerConfig.of(
            schedulerName,
            diffusion.base().scheduler(),
            options.get(Render.USE_KARRAS_SIGMAS),
            problems);
    List<SchedulerConfig> schedulers = StageOptions.schedulers(diffusion, scheduler, problems);
    problems.throwIfAny();
    this.pipeline = new DiffusionPipeline(model, schedulers, diffusion);
  }

  @Override
  public PreparedRender prepare(RowInput row) throws RowException {
    ImageOptions image = defaults.overriddenBy(row);
    RgbImage enlarged = null;
    if (diffusion.enlarges()) {
      enlarged = toEnlarge(row);
      image = sizedBy(row, image, enlarged);
    }
    boolean fromImage = enlarged == null && row.has(Render.IMAGE.name());
    double strength = Render.strength(options);
    Problems problems = new Problems();
    image.check(diffusion.latents(), scheduler, problems);
    if (fromImage) {
      image.checkStrength(strength, problems);
    }
    if (!problems.isEmpty()) {
      throw RowException.prepare(
          "bad_option",
          problems.list().stream().map(Problem::toString).collect(Collectors.joining("; ")));
    }
    String text = row.text(Render.PROMPT);
    Encoding prompt = model.encode(text.length(), tokenizer -> tokenizer.encode(text));
    return new PreparedRender(
        padded(prompt),
        padded(model.tokenizer().encode(image.negativePrompt())),
        prompt.exceedMaxLength(),
        image,
        ImageOptions.seed(row),
        pictures(row, image, enlarged),
        !fromImage ? 0 : image.numInferenceSteps() - image.stepsFromImage(strength));
  }

  /** The text encoder has no mask: it was trained with texts of one length, padding included. */
  private long[] padded(Encoding encoding) {
    long[] ids = encoding.getIds();
    long[] padded = Arrays.copyOf(ids, spec.tokenizer().orElseThrow().maxLength());
    PackSpec.Generation generation = spec.generation().orElseThrow();
    Arrays.fill(padded, ids.length, padded.length, generation.pad().orElse(0));
    return padded;
  }

  private static RgbImage toEnlarge(RowInput row) throws RowException {
    return ImageDecoder.decode(
        row.bytes(Render.IMAGE.name()), Integer.MAX_VALUE, Integer.MAX_VALUE);
  }

  /** Where no size is asked for, that of the picture times the model's factor. */
  private ImageOptions sizedBy(RowInput row, ImageOptions image, RgbImage picture) {
    DiffusionSpec.Latents latents = diffusion.latents();
    int multiple = latents.pixelMultiple();
    int height = picture.height() * diffusion.factor() / multiple * multiple;
    int width = picture.width() * diffusion.factor() / multiple * multiple;
    boolean ownHeight =
        options.get(Render.HEIGHT) == null && row.bytes(Overridable.height.name()) == null;
    boolean ownWidth =
        options.get(Render.WIDTH) == null && row.bytes(Overridable.width.name()) == null;
    return new ImageOptions(
        image.negativePrompt(),
        ownHeight ? height : image.height(),
        ownWidth ? width : image.width(),
        image.numInferenceSteps(),
        image.guidanceScale());
  }

  private ImageRequest.Pictures pictures(RowInput row, ImageOptions image, RgbImage enlarged)
      throws RowException {
    float[] init = null;
    if (enlarged != null) {
      int factor = diffusion.factor();
      init =
          Autoencoder.values(
              ImageFiles.resize(enlarged, image.height() / factor, image.width() / factor));
    } else if (row.has(Render.IMAGE.name())) {
      init = Autoencoder.values(picture(row, Render.IMAGE, image));
    }
    float[] control = null;
    if (row.has(Render.CONTROL.name())) {
      control = Autoencoder.values(picture(row, Render.CONTROL, image));
      for (int i = 0; i < control.length; i++) {
        control[i] = control[i] / 2 + 0.5f;
      }
    }
    return new ImageRequest.Pictures(
        init,
        row.has(Render.MASK.name()) ? mask(picture(row, Render.MASK, image)) : null,
        control,
        options.get(Render.CONTROLNET_CONDITIONING_SCALE),
        StageOptions.noiseLevel(diffusion, options));
  }

  private static RgbImage picture(RowInput row, Argument argument, ImageOptions image)
      throws RowException {
    RgbImage decoded =
        ImageDecoder.decode(row.bytes(argument.name()), image.height(), image.width());
    return ImageFiles.resize(decoded, image.height(), image.width());
  }

  /** 1 where the picture is nearer to white than to black, by Pillow's weights of the colours. */
  private static float[] mask(RgbImage image) {
    byte[] pixels = image.pixels();
    float[] mask = new float[pixels.length / 3];
    for (int i = 0; i < mask.length; i++) {
      int red = pixels[3 * i] & 0xFF;
      int green = pixels[3 * i + 1] & 0xFF;
      int blue = pixels[3 * i + 2] & 0xFF;
      mask[i] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16 > 127 ? 1 : 0;
    }
    return mask;
  }

  /** {@inheritDoc} Pixels of all its images. */
  @Override
  public int size(PreparedRender row) {
    return row.options().height() * row.options().width() * images();
  }

  /** What rows of a batch agree in; of other stages than the base all rows have the same way. */
  private record Group(int height, int width, int steps, boolean guided, int begin) {}

  /** {@inheritDoc} Rows of one size and one way from noise to image. */
  @Override
  public Object group(PreparedRender row) {
    ImageOptions image = row.options();
    return new Group(
        image.height(),
        image.width(),
        image.numInferenceSteps(),
        image.guidanceScale() > 1,
        row.begin());
  }

  /** {@inheritDoc} What waits longest are the finished images. */
  @Override
  public long inputBytes(RowInput row) {
    try {
      ImageOptions image = defaults.overriddenBy(row);
      return row.length() + 3L * image.height() * image.width() * images();
    } catch (RowException e) {
      return row.length();
    }
  }

  @Override
  public List<List<RenderedImage>> infer(List<PreparedRender> batch) {
    int each = images();
    List<ImageRequest> requests = new ArrayList<>();
    for (PreparedRender row : batch) {
      for (int image = 0; image < each; image++) {
        requests.add(request(row, NoiseSource.of(row.seed(), image)));
      }
    }
    List<RgbImage> images = batch.size() == 1 ? renderRow(requests) : render(requests);
    List<List<RenderedImage>> rows = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      PreparedRender row = batch.get(i);
      rows.add(
          images.subList(i * each, (i + 1) * each).stream()
              .map(pixels -> new RenderedImage(pixels, row))
              .toList());
    }
    return rows;
  }

  /** A row of many images may be more than a batch: they are rendered in as many as it takes. */
  private List<RgbImage> renderRow(List<ImageRequest> requests) {
    long pixels = (long) requests.get(0).height() * requests.get(0).width();
    List<RgbImage> images = new ArrayList<>(requests.size());
    while (images.size() < requests.size()) {
      int from = images.size();
      int fit = (int) Math.max(1, Math.min(requests.size() - from, budget.current() / pixels));
      try {
        images.addAll(render(requests.subList(from, from + fit)));
      } catch (RuntimeException | Error e) {
        if (fit == 1 || !OutOfMemory.isCauseOf(e)) {
          throw e;
        }
        budget.exceeded(fit * pixels);
      }
    }
    return images;
  }

  /** Renders what may share a batch. */
  List<RgbImage> render(List<ImageRequest> requests) {
    return pipeline.render(requests);
  }

  private int images() {
    return options.get(Render.NUM_IMAGES_PER_PROMPT);
  }

  /** An image of a row, to be made of some noise. */
  ImageRequest request(PreparedRender row, NoiseSource noise) {
    return new ImageRequest(
        row.ids(),
        row.negativeIds(),
        noise,
        row.options().height(),
        row.options().width(),
        StageOptions.ways(diffusion, options, row.options()),
        row.pictures(),
        row.begin());
  }

  @Override
  public List<List<Object>> values(List<RenderedImage> images) {
    List<List<Object>> rows = new ArrayList<>(images.size());
    for (RenderedImage image : images) {
      ImageOptions made = image.row().options();
      rows.add(
          List.of(
              options.get(ImageFormat.OPTION).file(image.pixels()),
              made.width(),
              made.height(),
              image.row().seed(),
              schedulerName.name(),
              made.numInferenceSteps(),
              made.guidanceScale(),
              image.row().truncated()));
    }
    return rows;
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
