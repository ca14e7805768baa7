package io.lakegen.task.diffusion;

import ai.djl.huggingface.tokenizers.Encoding;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.OutOfMemory;
import io.lakegen.model.PackSpec;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowException;
import io.lakegen.task.diffusion.RenderOptions.ImageOptions;
import io.lakegen.task.text.Utf8Text;
import io.lakegen.task.vision.ImageDecoder;
import io.lakegen.task.vision.ImageFiles;
import io.lakegen.task.vision.RgbImage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Images from a {@code text-to-image} pack. A row's images depend on its seed, prompt and options
 * only: the noise is the row's own.
 */
public final class Renderer
    implements ModelTask<
        Renderer.RenderInput, Renderer.PreparedRender, List<Renderer.RenderedImage>> {
  /** Longest side in pixels. */
  private static final int MAX_SIDE = 4096;

  private final LoadedModel model;
  private final RenderOptions options;
  private final long passPixels;
  private final PackSpec spec;
  private final SchedulerConfig scheduler;
  private final DiffusionPipeline pipeline;

  /**
   * A row to render.
   *
   * @param prompt UTF-8; may be null
   * @param seed of the noise
   * @param start an image file to start from, if {@code fromImage}; may be null
   */
  public record RenderInput(
      byte[] prompt, ImageOptions options, long seed, boolean fromImage, byte[] start) {}

  /**
   * A row ready to render.
   *
   * @param ids of the prompt, padded
   * @param negativeIds of the negative prompt, padded
   * @param truncated true if the text encoder reads only the beginning of the prompt
   * @param start {@code [3, height, width]} in -1..1; null for noise
   * @param begin steps that the start takes the place of
   */
  public record PreparedRender(
      long[] ids,
      long[] negativeIds,
      boolean truncated,
      ImageOptions options,
      long seed,
      float[] start,
      int begin) {}

  /** A finished image and the row it belongs to. */
  public record RenderedImage(RgbImage pixels, PreparedRender row) {}

  /**
   * A renderer over a loaded pack, which stays the caller's to close.
   *
   * @param passPixels most pixels that are rendered at once, a single image excepted
   * @throws IllegalArgumentException if {@link #problems} finds any
   */
  public Renderer(LoadedModel model, RenderOptions options, boolean fromImages, long passPixels) {
    this.model = model;
    this.options = options;
    this.passPixels = passPixels;
    this.spec = model.pack().spec();
    List<String> problems = problems(spec, options, fromImages);
    if (!problems.isEmpty()) {
      throw new IllegalArgumentException(String.join("\n", problems));
    }
    this.scheduler =
        SchedulerConfig.of(options.scheduler(), spec.scheduler(), options.karrasSigmas());
    this.pipeline = new DiffusionPipeline(model, scheduler);
  }

  /** What is wrong with rendering by these options with a pack. */
  public static List<String> problems(PackSpec spec, RenderOptions options, boolean fromImages) {
    if (!spec.task().equals("text-to-image")) {
      return List.of("model: a pack for " + spec.task() + " (expected: for text-to-image)");
    }
    List<String> problems = new ArrayList<>();
    if (fromImages && !spec.graphs().containsKey("vae_encoder")) {
      problems.add("model: a pack without vae_encoder (expected: one, to start from images)");
    }
    try {
      SchedulerConfig config =
          SchedulerConfig.of(options.scheduler(), spec.scheduler(), options.karrasSigmas());
      problems.addAll(problems(spec, config, options.image()));
      problems.addAll(strengthProblems(options, options.image(), fromImages));
    } catch (IllegalArgumentException e) {
      problems.addAll(Arrays.asList(e.getMessage().split("\n")));
    }
    return problems;
  }

  private static List<String> problems(
      PackSpec spec, SchedulerConfig scheduler, ImageOptions image) {
    List<String> problems = new ArrayList<>();
    PackSpec.Latents latents = spec.latents().orElseThrow();
    int multiple = latents.scale() * latents.multiple();
    side(problems, "height", image.height(), multiple);
    side(problems, "width", image.width(), multiple);
    if (image.numInferenceSteps() < 1 || image.numInferenceSteps() > scheduler.maxSteps()) {
      problems.add(
          "num-inference-steps: "
              + image.numInferenceSteps()
              + " (expected: 1 to "
              + scheduler.maxSteps()
              + ")");
    }
    if (!Double.isFinite(image.guidanceScale())) {
      problems.add("guidance-scale: " + image.guidanceScale() + " (expected: a number)");
    }
    return problems;
  }

  private static void side(List<String> problems, String key, int value, int multiple) {
    if (value < multiple || value > MAX_SIDE || value % multiple != 0) {
      problems.add(
          key
              + ": "
              + value
              + " (expected: a multiple of "
              + multiple
              + " pixels, at most "
              + MAX_SIDE
              + ")");
    }
  }

  private static List<String> strengthProblems(
      RenderOptions options, ImageOptions image, boolean fromImage) {
    return fromImage && stepsFromImage(options, image) < 1
        ? List.of(
            "strength: "
                + options.strength()
                + " leaves none of "
                + image.numInferenceSteps()
                + " steps (expected: at least one)")
        : List.of();
  }

  private static int stepsFromImage(RenderOptions options, ImageOptions image) {
    return (int) (image.numInferenceSteps() * options.strength());
  }

  @Override
  public PreparedRender prepare(RenderInput input) throws RowException {
    ImageOptions image = input.options();
    List<String> problems = new ArrayList<>(problems(spec, scheduler, image));
    problems.addAll(strengthProblems(options, image, input.fromImage()));
    if (!problems.isEmpty()) {
      throw RowException.prepare("bad_option", String.join("; ", problems));
    }
    Encoding prompt = model.tokenizer().encode(Utf8Text.decode(input.prompt()));
    float[] start = null;
    if (input.fromImage()) {
      RgbImage decoded = ImageDecoder.decode(input.start(), image.height(), image.width());
      start = unitPixels(ImageFiles.resize(decoded, image.height(), image.width()));
    }
    return new PreparedRender(
        padded(prompt),
        padded(model.tokenizer().encode(image.negativePrompt())),
        prompt.exceedMaxLength(),
        image,
        input.seed(),
        start,
        start == null ? 0 : image.numInferenceSteps() - stepsFromImage(options, image));
  }

  /** The text encoder has no mask: it was trained with texts of one length, padding included. */
  private long[] padded(Encoding encoding) {
    long[] ids = encoding.getIds();
    long[] padded = Arrays.copyOf(ids, spec.tokenizer().orElseThrow().maxLength());
    PackSpec.Generation generation = spec.generation().orElseThrow();
    Arrays.fill(padded, ids.length, padded.length, generation.pad().orElse(0));
    return padded;
  }

  private static float[] unitPixels(RgbImage image) {
    byte[] pixels = image.pixels();
    int plane = pixels.length / 3;
    float[] values = new float[pixels.length];
    for (int i = 0; i < pixels.length; i++) {
      values[i % 3 * plane + i / 3] = (pixels[i] & 0xFF) / 127.5f - 1;
    }
    return values;
  }

  /** {@inheritDoc} Pixels of all its images. */
  @Override
  public int size(PreparedRender row) {
    return row.options().height() * row.options().width() * options.numImagesPerPrompt();
  }

  private record Group(int height, int width, int steps, boolean guided, int begin) {}

  /** {@inheritDoc} Rows of one size and one way from noise to image. */
  @Override
  public Object group(PreparedRender row) {
    ImageRequest request = request(row, 0);
    return new Group(
        request.height(), request.width(), request.steps(), request.guided(), request.begin());
  }

  /** {@inheritDoc} What waits longest are the finished images. */
  @Override
  public long inputBytes(RenderInput input) {
    ImageOptions image = input.options();
    long start = input.start() == null ? 0 : input.start().length;
    return start + 3L * image.height() * image.width() * options.numImagesPerPrompt();
  }

  @Override
  public List<List<RenderedImage>> infer(List<PreparedRender> batch) {
    int each = options.numImagesPerPrompt();
    List<ImageRequest> requests = new ArrayList<>();
    for (PreparedRender row : batch) {
      for (int image = 0; image < each; image++) {
        requests.add(request(row, image));
      }
    }
    List<RgbImage> images = batch.size() == 1 ? renderRow(requests) : pipeline.render(requests);
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
    ImageRequest first = requests.get(0);
    int size = (int) Math.max(1, passPixels / ((long) first.height() * first.width()));
    List<RgbImage> images = new ArrayList<>(requests.size());
    while (images.size() < requests.size()) {
      int from = images.size();
      try {
        images.addAll(
            pipeline.render(requests.subList(from, Math.min(requests.size(), from + size))));
      } catch (RuntimeException | Error e) {
        if (size == 1 || !OutOfMemory.isCauseOf(e)) {
          throw e;
        }
        size = Math.min(size, requests.size() - from) / 2;
      }
    }
    return images;
  }

  private ImageRequest request(PreparedRender row, int image) {
    return new ImageRequest(
        row.ids(),
        row.negativeIds(),
        NoiseSource.of(row.seed(), image),
        row.options().height(),
        row.options().width(),
        row.options().numInferenceSteps(),
        row.options().guidanceScale(),
        row.start(),
        row.begin());
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
