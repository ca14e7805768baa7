package io.lakegen.task.vision;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowException;
import io.lakegen.task.text.DecodeLoop;
import io.lakegen.task.text.DecodeRequest;
import io.lakegen.task.text.DecodedSequence;
import io.lakegen.task.text.DecodedSequence.FinishReason;
import io.lakegen.task.text.GenerationOptions;
import io.lakegen.task.text.SequenceText;
import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import java.util.zip.CRC32C;

/**
 * Captions from an {@code image-to-text} pack: GIT, whose visual tokens are a prefix in the
 * decoder's cache, BLIP and ViT-GPT2, whose decoders attend to the image. Images are decoded and
 * preprocessed by {@link #prepare}; the preprocessing graph runs on the model's device.
 */
public final class Captioner
    implements ModelTask<Captioner.Picture, Captioner.PreparedPicture, List<Captioner.Caption>> {

  /**
   * A JPEG is decoded at reduced size down to this many times the model's input size. At 2, the
   * features of a trained encoder keep a cosine of 0.9997 to those of a whole decode over eight
   * noisy photographs; at 1.5 it falls to 0.9989.
   */
  static final int MARGIN = 2;

  /**
   * Longest side by shortest. Scaled to the model's shortest side, a thin line of pixels would fill
   * gigabytes.
   */
  private static final int MAX_ASPECT_RATIO = 200;

  private final LoadedModel model;
  private final GenerationOptions options;
  private final CaptionOptions captionOptions;
  private final Graph preprocess;
  private final PackSpec.Image image;
  private final long[] prompt;
  private final DecodeLoop<float[]> loop;

  /**
   * What shapes captions besides the decoding.
   *
   * @param prompt text that every caption goes on from; empty for none
   * @param thumbnail longest side in pixels of a JPEG made of every picture; 0 for none
   */
  public record CaptionOptions(String prompt, int thumbnail) implements Serializable {
    public CaptionOptions {
      if (thumbnail < 0 || thumbnail > Thumbnail.MAX_SIDE) {
        throw new IllegalArgumentException(
            "thumbnail: " + thumbnail + " (expected: 1 to " + Thumbnail.MAX_SIDE + " pixels)");
      }
    }
  }

  /**
   * A row to caption.
   *
   * @param file an image file's bytes; may be null
   * @param seed the row's own seed
   */
  public record Picture(byte[] file, long seed) {}

  /**
   * A picture as the model sees it.
   *
   * @param file the image file's bytes
   * @param pixels {@code [3, height, width]} of the pack, normalised
   * @param height of the picture in its file, upright
   * @param width of the picture in its file, upright
   * @param thumbnail JPEG, null if none was asked for
   */
  public record PreparedPicture(
      byte[] file, long seed, float[] pixels, int height, int width, byte[] thumbnail) {}

  /**
   * One caption.
   *
   * @param text the prompt, if there is one, and what was generated, without special tokens
   * @param tokenCount tokens that were generated, the end token included
   * @param meanLogProbability mean of the generated tokens' log-probabilities (natural logarithm)
   *     under the model itself
   * @param picture what the caption is about
   */
  public record Caption(
      String text,
      int tokenCount,
      FinishReason finishReason,
      double meanLogProbability,
      PreparedPicture picture) {}

  /**
   * A captioner over a loaded pack, which stays the caller's to close.
   *
   * @throws IllegalArgumentException if {@link #problem} finds one, or the prompt leaves no room in
   *     the model's context
   */
  public Captioner(LoadedModel model, GenerationOptions options, CaptionOptions captionOptions) {
    PackSpec spec = model.pack().spec();
    problem(spec, options, captionOptions)
        .ifPresent(
            p -> {
              throw new IllegalArgumentException(p);
            });
    this.model = model;
    this.options = options;
    this.captionOptions = captionOptions;
    this.preprocess = model.graph("preprocess");
    this.image = spec.image().orElseThrow();
    PackSpec.Generation generation = spec.generation().orElseThrow();
    long start = generation.decoderStart().orElseGet(() -> generation.bos().orElseThrow());
    long[] text =
        captionOptions.prompt().isEmpty()
            ? new long[0]
            : model.tokenizer().encode(captionOptions.prompt(), false, false).getIds();
    this.prompt = LongStream.concat(LongStream.of(start), Arrays.stream(text)).toArray();
    if (prompt.length + options.maxNewTokens() > generation.maxLength()) {
      throw new IllegalArgumentException(
          "prompt: "
              + prompt.length
              + " tokens (expected: at most "
              + (generation.maxLength() - options.maxNewTokens())
              + ", the model's context less "
              + options.maxNewTokens()
              + " new tokens)");
    }
    // A batch is as large as its budget says; the loop need not split it.
    this.loop =
        new DecodeLoop<>(
            model, options, PictureEncoder.of(model), Long.MAX_VALUE / Short.MAX_VALUE);
  }

  /** What is wrong with captioning by these options with a pack, if anything. */
  public static Optional<String> problem(
      PackSpec spec, GenerationOptions options, CaptionOptions captionOptions) {
    if (!spec.task().equals("image-to-text")) {
      return Optional.of("model: a pack for " + spec.task() + " (expected: for image-to-text)");
    }
    if (!captionOptions.prompt().isEmpty() && spec.family().equals("vit-gpt2")) {
      return Optional.of(
          "prompt: "
              + captionOptions.prompt()
              + " (expected: none; a vit-gpt2 model was not trained to go on from a text)");
    }
    int context = spec.generation().orElseThrow().maxLength();
    if (options.maxNewTokens() >= context) {
      return Optional.of(
          "max-new-tokens: "
              + options.maxNewTokens()
              + " (expected: less than the model's context of "
              + context
              + " tokens)");
    }
    return Optional.empty();
  }

  @Override
  public PreparedPicture prepare(Picture picture) throws RowException {
    RgbImage rgb =
        ImageDecoder.decode(
            picture.file(),
            Math.max(MARGIN * image.height(), captionOptions.thumbnail()),
            Math.max(MARGIN * image.width(), captionOptions.thumbnail()));
    int longest = Math.max(rgb.originalHeight(), rgb.originalWidth());
    int shortest = Math.min(rgb.originalHeight(), rgb.originalWidth());
    if (longest > MAX_ASPECT_RATIO * (long) shortest) {
      throw RowException.prepare(
          "extreme_aspect_ratio",
          rgb.originalWidth()
              + " x "
              + rgb.originalHeight()
              + " pixels (expected: the longer side at most "
              + MAX_ASPECT_RATIO
              + " times the shorter)");
    }
    byte[] thumbnail =
        captionOptions.thumbnail() == 0 ? null : Thumbnail.jpeg(rgb, captionOptions.thumbnail());
    return new PreparedPicture(
        picture.file(),
        picture.seed(),
        pixels(rgb),
        rgb.originalHeight(),
        rgb.originalWidth(),
        thumbnail);
  }

  /** The model's input for a decoded image: {@code [3, height, width]} of the pack, normalised. */
  float[] pixels(RgbImage rgb) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(rgb.pixels().length).put(rgb.pixels()).rewind();
    try (NDManager manager = model.newManager()) {
      NDArray array =
          manager.create(bytes, new Shape(rgb.height(), rgb.width(), 3), DataType.UINT8);
      return preprocess.run(array).head().toFloatArray();
    }
  }

  /** {@inheritDoc} Rows of the decoder: one for each beam or sequence. */
  @Override
  public int size(PreparedPicture picture) {
    return Math.max(options.numBeams(), options.numReturnSequences());
  }

  /** {@inheritDoc} What the model sees is about as large as the file. */
  @Override
  public long inputBytes(Picture picture) {
    return (picture.file() == null ? 0 : picture.file().length)
        + 3L * Float.BYTES * image.height() * image.width();
  }

  @Override
  public Object identity(PreparedPicture picture) {
    return options.doSample() ? null : new Content(picture.file());
  }

  /** A file's bytes as a key; the checksum runs at memory speed, unlike a byte-wise hash code. */
  private record Content(byte[] file) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Content content && Arrays.equals(file, content.file);
    }

    @Override
    public int hashCode() {
      CRC32C crc = new CRC32C();
      crc.update(file);
      return (int) crc.getValue();
    }
  }

  @Override
  public List<List<Caption>> infer(List<PreparedPicture> batch) {
    List<DecodeRequest<float[]>> requests = new ArrayList<>(batch.size());
    for (PreparedPicture picture : batch) {
      requests.add(
          new DecodeRequest<>(prompt, options.maxNewTokens(), picture.seed(), picture.pixels()));
    }
    List<List<DecodedSequence>> decoded = loop.run(requests);
    List<List<Caption>> captions = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      PreparedPicture picture = batch.get(i);
      captions.add(
          decoded.get(i).stream()
              .limit(options.numReturnSequences())
              .map(s -> caption(s, picture))
              .toList());
    }
    return captions;
  }

  private Caption caption(DecodedSequence sequence, PreparedPicture picture) {
    int count = sequence.tokens().length;
    long[] all = Arrays.copyOf(prompt, prompt.length + count);
    System.arraycopy(sequence.tokens(), 0, all, prompt.length, count);
    DecodedSequence whole =
        new DecodedSequence(all, sequence.reason(), sequence.logProbability(), sequence.score());
    return new Caption(
        SequenceText.of(whole, options.stop(), model.tokenizer()).strip(),
        count,
        sequence.reason(),
        sequence.logProbability() / count,
        picture);
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
