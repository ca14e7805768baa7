package io.lakegen.task.caption;

import static io.lakegen.decode.DecodingOptions.DO_SAMPLE;
import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.NUM_BEAMS;
import static io.lakegen.decode.DecodingOptions.NUM_RETURN_SEQUENCES;
import static io.lakegen.decode.DecodingOptions.STOP;
import static io.lakegen.task.caption.Caption.PROMPT;
import static io.lakegen.task.caption.Caption.THUMBNAIL;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.lakegen.decode.DecodeLoop;
import io.lakegen.decode.DecodeRequest;
import io.lakegen.decode.DecodedSequence;
import io.lakegen.decode.DecodedSequence.FinishReason;
import io.lakegen.decode.SequenceText;
import io.lakegen.image.ImageDecoder;
import io.lakegen.image.RgbImage;
import io.lakegen.image.Thumbnail;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import java.util.zip.CRC32C;

/**
 * Captions from an {@code image-to-text} pack: GIT, whose visual tokens are a prefix in the
 * decoder's cache, as they are in vision-language models, BLIP and ViT-GPT2, whose decoders attend
 * to the image. Images are decoded and preprocessed by {@link #prepare}; the preprocessing graph
 * runs on the model's device.
 */
public final class Captioner
    implements Task<Captioner.PreparedPicture, List<Captioner.PictureCaption>> {

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
  private final OptionValues options;
  private final int thumbnail;
  private final Graph preprocess;
  private final PackSpec.Image image;
  private final long[] prompt;
  private final int hidden;
  private final DecodeLoop<float[]> loop;

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
   * @param text the prompt, if the caption goes on from it, and what was generated, without special
   *     tokens
   * @param tokenCount tokens that were generated, the end token included
   * @param meanLogProbability mean of the generated tokens' log-probabilities (natural logarithm)
   *     under the model itself
   * @param picture what the caption is about
   */
  public record PictureCaption(
      String text,
      int tokenCount,
      FinishReason finishReason,
      double meanLogProbability,
      PreparedPicture picture) {}

  /**
   * A captioner over a loaded pack, which stays the caller's to close.
   *
   * @throws io.lakegen.problem.InvalidArgumentsException if the prompt leaves no room in the
   *     model's context
   */
  Captioner(LoadedModel model, OptionValues options, Budget budget) {
    PackSpec spec = model.pack().spec();
    this.model = model;
    this.options = options;
    this.thumbnail = options.get(THUMBNAIL) == null ? 0 : options.get(THUMBNAIL);
    this.preprocess = model.graph("preprocess");
    this.image = spec.image().orElseThrow();
    PackSpec.Generation generation = spec.generation().orElseThrow();
    Optional<String> template = spec.tokenizer().flatMap(PackSpec.Tokenizer::chatTemplate);
    this.prompt = template.map(this::filled).orElseGet(() -> continued(generation));
    this.hidden = template.isPresent() ? prompt.length : 0;
    if (prompt.length == 0) {
      Problems problems = new Problems();
      problems.add(PROMPT.name(), "none", "a text for this model to answer");
      problems.throwIfAny();
    }
    int room = generation.maxLength() - options.get(MAX_NEW_TOKENS);
    if (prompt.length > room) {
      Problems problems = new Problems();
      problems.add(
          PROMPT.name(),
          prompt.length + " tokens",
          "at most "
              + room
              + ", the model's context less "
              + options.get(MAX_NEW_TOKENS)
              + " new tokens");
      problems.throwIfAny();
    }
    this.loop =
        new DecodeLoop<>(
            model, options, PictureEncoder.of(model), budget, DecodeLoop.BudgetUnit.ROWS);
  }

  /** What stands between the picture and the caption in a model that was trained to answer. */
  private long[] filled(String template) {
    return encode(template.replace("{prompt}", options.get(PROMPT)));
  }

  /** The start token and the text that the caption goes on from. */
  private long[] continued(PackSpec.Generation generation) {
    long start = generation.decoderStart().orElseGet(() -> generation.bos().orElseThrow());
    return LongStream.concat(LongStream.of(start), Arrays.stream(encode(options.get(PROMPT))))
        .toArray();
  }

  private long[] encode(String text) {
    return text.isEmpty() ? new long[0] : model.tokenizer().encode(text, false, false).getIds();
  }

  @Override
  public PreparedPicture prepare(RowInput row) throws RowException {
    byte[] file = row.bytes(Caption.IMAGE);
    RgbImage rgb =
        ImageDecoder.decode(
            file,
            Math.max(MARGIN * image.height(), thumbnail),
            Math.max(MARGIN * image.width(), thumbnail));
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
    return new PreparedPicture(
        file,
        row.seed(),
        pixels(rgb),
        rgb.originalHeight(),
        rgb.originalWidth(),
        thumbnail == 0 ? null : Thumbnail.jpeg(rgb, thumbnail));
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
    return Math.max(options.get(NUM_BEAMS), options.get(NUM_RETURN_SEQUENCES));
  }

  /** {@inheritDoc} What the model sees is about as large as the file. */
  @Override
  public long inputBytes(RowInput row) {
    return row.length() + 3L * Float.BYTES * image.height() * image.width();
  }

  @Override
  public Object identity(PreparedPicture picture) {
    return options.get(DO_SAMPLE) ? null : new Content(picture.file());
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
  public List<List<PictureCaption>> infer(List<PreparedPicture> batch) {
    List<DecodeRequest<float[]>> requests = new ArrayList<>(batch.size());
    for (PreparedPicture picture : batch) {
      requests.add(
          new DecodeRequest<>(
              prompt, options.get(MAX_NEW_TOKENS), picture.seed(), picture.pixels()));
    }
    List<List<DecodedSequence>> decoded = loop.run(requests);
    List<List<PictureCaption>> captions = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      PreparedPicture picture = batch.get(i);
      captions.add(
          decoded.get(i).stream()
              .limit(options.get(NUM_RETURN_SEQUENCES))
              .map(s -> caption(s, picture))
              .toList());
    }
    return captions;
  }

  private PictureCaption caption(DecodedSequence sequence, PreparedPicture picture) {
    int count = sequence.tokens().length;
    long[] all =
        LongStream.concat(Arrays.stream(prompt).skip(hidden), Arrays.stream(sequence.tokens()))
            .toArray();
    DecodedSequence whole =
        new DecodedSequence(all, sequence.reason(), sequence.logProbability(), sequence.score());
    return new PictureCaption(
        SequenceText.of(whole, options.get(STOP), model.tokenizer()).strip(),
        count,
        sequence.reason(),
        sequence.logProbability() / count,
        picture);
  }

  @Override
  public List<List<Object>> values(List<PictureCaption> captions) {
    List<List<Object>> rows = new ArrayList<>(captions.size());
    for (PictureCaption caption : captions) {
      PreparedPicture picture = caption.picture();
      List<Object> values =
          new ArrayList<>(
              List.of(
                  caption.text(),
                  caption.tokenCount(),
                  caption.meanLogProbability(),
                  picture.width(),
                  picture.height()));
      if (thumbnail > 0) {
        values.add(picture.thumbnail());
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
