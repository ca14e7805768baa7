package io.lakegen.task.caption;

import static io.lakegen.decode.DecodingOptions.DO_SAMPLE;
import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.NUM_BEAMS;
import static io.lakegen.decode.DecodingOptions.NUM_RETURN_SEQUENCES;
import static io.lakegen.decode.DecodingOptions.STOP;
import static io.lakegen.task.caption.Caption.PROMPT;
import static io.lakegen.task.caption.Caption.THUMBNAIL;

import io.lakegen.decode.DecodeLoop;
import io.lakegen.decode.DecodeRequest;
import io.lakegen.decode.DecodedSequence;
import io.lakegen.decode.DecodedSequence.FinishReason;
import io.lakegen.decode.SequenceText;
import io.lakegen.encoder.PictureInput;
import io.lakegen.image.RgbImage;
import io.lakegen.image.Thumbnail;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;

/**
 * Captions from an {@code image-to-text} pack: GIT, whose visual tokens are a prefix in the
 * decoder's cache, as they are in vision-language models, BLIP and ViT-GPT2, whose decoders attend
 * to the image. Images are decoded and preprocessed by {@link #prepare}; the preprocessing graph
 * runs on the model's device.
 */
public final class Captioner
    implements Task<Captioner.PreparedPicture, List<Captioner.PictureCaption>> {

  private final LoadedModel model;
  private final OptionValues options;
  private final int thumbnail;
  private final PictureInput input;
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
    this.input = new PictureInput(model);
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
    RgbImage rgb = input.decode(file, thumbnail);
    return new PreparedPicture(
        file,
        row.seed(),
        input.pixels(rgb),
        rgb.originalHeight(),
        rgb.originalWidth(),
        thumbnail == 0 ? null : Thumbnail.jpeg(rgb, thumbnail));
  }

  /** {@inheritDoc} Rows of the decoder: one for each beam or sequence. */
  @Override
  public int size(PreparedPicture picture) {
    return Math.max(options.get(NUM_BEAMS), options.get(NUM_RETURN_SEQUENCES));
  }

  /** {@inheritDoc} What the model sees is about as large as the file. */
  @Override
  public long inputBytes(RowInput row) {
    return row.length() + input.bytes();
  }

  @Override
  public Object identity(PreparedPicture picture) {
    return options.get(DO_SAMPLE) ? null : new PictureInput.Content(picture.file());
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
