package io.lakegen.task.text;

import ai.djl.huggingface.tokenizers.Encoding;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.task.ModelTask;
import io.lakegen.task.RowException;
import io.lakegen.task.text.DecodedSequence.FinishReason;
import java.io.IOException;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;

/**
 * Text from prompts, with a {@code text-generation} pack (causal) or a {@code text2text-generation}
 * pack (encoder-decoder). A whole window of rows is one batch here: the decoding loop does its own
 * batching.
 */
public final class TextGenerator
    implements ModelTask<
        TextGenerator.Prompt, TextGenerator.PreparedPrompt, List<TextGenerator.GeneratedText>> {
  private final LoadedModel model;
  private final PackSpec.Tokenizer tokenizer;
  private final GenerationOptions options;
  private final PromptOptions promptOptions;
  private final boolean encoderDecoder;
  private final int promptRoom;
  private final DecodeLoop<long[]> loop;

  /**
   * A row to generate for.
   *
   * @param text UTF-8
   * @param seed the row's own seed
   */
  public record Prompt(byte[] text, long seed) {}

  /**
   * A prompt as the model reads it.
   *
   * @param ids token ids, special tokens included
   */
  public record PreparedPrompt(long[] ids, long seed) {}

  /**
   * One generated text.
   *
   * @param text what was generated, without prompt, special tokens and stop text
   * @param tokenCount tokens that were generated, the end token and those of a stop text included
   * @param promptTokens tokens of the prompt as the model read it
   * @param meanLogProbability mean of the generated tokens' log-probabilities (natural logarithm)
   *     under the model itself, before temperature, penalties or any other processor
   */
  public record GeneratedText(
      String text,
      int tokenCount,
      int promptTokens,
      FinishReason finishReason,
      double meanLogProbability) {}

  /**
   * How prompts are read.
   *
   * @param longPrompts what becomes of a prompt that leaves no room for the new tokens
   * @param frame what is put around a prompt
   */
  public record PromptOptions(LongPrompts longPrompts, Frame frame)
      implements java.io.Serializable {
    /** Hugging Face's truncation side: a causal model goes on from its prompt's end. */
    public enum LongPrompts {
      reject,
      truncate
    }

    /** Whether the pack's chat template, if it has one, is put around the prompt. */
    public enum Frame {
      chat,
      none
    }
  }

  /**
   * A generator over a loaded pack, which stays the caller's to close.
   *
   * @param cacheTokens see {@link DecodeLoop}
   * @throws IllegalArgumentException if the pack is for another task, or its context has no room
   *     for a prompt and the new tokens
   */
  public TextGenerator(
      LoadedModel model, GenerationOptions options, PromptOptions promptOptions, long cacheTokens) {
    this.model = model;
    this.options = options;
    this.promptOptions = promptOptions;
    PackSpec spec = model.pack().spec();
    problem(spec, options)
        .ifPresent(
            p -> {
              throw new IllegalArgumentException(p);
            });
    this.tokenizer = spec.tokenizer().orElseThrow();
    this.encoderDecoder = isEncoderDecoder(spec);
    this.promptRoom =
        encoderDecoder
            ? tokenizer.maxLength()
            : Math.min(
                tokenizer.maxLength(),
                spec.generation().orElseThrow().maxLength() - options.maxNewTokens());
    this.loop =
        new DecodeLoop<>(
            model,
            options,
            encoderDecoder ? new TextEncoder(model.graph("encoder")) : ContextEncoder.none(),
            cacheTokens);
  }

  /** What is wrong with generating by these options with a pack, if anything. */
  public static java.util.Optional<String> problem(PackSpec spec, GenerationOptions options) {
    if (!isEncoderDecoder(spec) && !spec.task().equals("text-generation")) {
      return java.util.Optional.of(
          "model: a pack for "
              + spec.task()
              + " (expected: a pack for text-generation or text2text-generation)");
    }
    int context = spec.generation().orElseThrow().maxLength();
    if (options.maxNewTokens() >= context) {
      return java.util.Optional.of(
          "max-new-tokens: "
              + options.maxNewTokens()
              + " (expected: less than the model's context of "
              + context
              + " tokens)");
    }
    return java.util.Optional.empty();
  }

  private static boolean isEncoderDecoder(PackSpec spec) {
    return spec.task().equals("text2text-generation");
  }

  @Override
  public PreparedPrompt prepare(Prompt prompt) throws RowException {
    String text = Utf8Text.decode(prompt.text());
    boolean chat =
        promptOptions.frame() == PromptOptions.Frame.chat && tokenizer.chatTemplate().isPresent();
    Encoding encoding =
        chat
            // The template spells the special tokens out.
            ? model
                .tokenizer()
                .encode(tokenizer.chatTemplate().get().replace("{prompt}", text), false, true)
            : model.tokenizer().encode(text, true, true);
    return new PreparedPrompt(fit(encoding), prompt.seed());
  }

  private long[] fit(Encoding encoding) throws RowException {
    long[] ids = encoding.getIds();
    long[] special = encoding.getSpecialTokenMask();
    int head = 0;
    while (head < ids.length && special[head] == 1) {
      head++;
    }
    int tail = 0;
    while (tail < ids.length - head && special[ids.length - 1 - tail] == 1) {
      tail++;
    }
    // The tokenizer cuts at its own limit and puts special tokens around every piece.
    LongStream.Builder content = LongStream.builder();
    add(content, encoding);
    for (Encoding piece : encoding.getOverflowing()) {
      add(content, piece);
    }
    long[] all = content.build().toArray();
    int room = promptRoom - head - tail;
    if (all.length > room) {
      if (promptOptions.longPrompts() == PromptOptions.LongPrompts.reject || room < 1) {
        throw RowException.prepare(
            "prompt_too_long",
            "the prompt has "
                + (all.length + head + tail)
                + " tokens (expected: at most "
                + promptRoom
                + (encoderDecoder
                    ? ", the longest input of the model"
                    : ", the model's context less " + options.maxNewTokens() + " new tokens")
                + "; shorten it or give --truncate-prompt)");
      }
      all =
          encoderDecoder
              ? Arrays.copyOf(all, room)
              : Arrays.copyOfRange(all, all.length - room, all.length);
    }
    long[] fitted = new long[head + all.length + tail];
    System.arraycopy(ids, 0, fitted, 0, head);
    System.arraycopy(all, 0, fitted, head, all.length);
    System.arraycopy(ids, ids.length - tail, fitted, head + all.length, tail);
    return fitted;
  }

  private static void add(LongStream.Builder content, Encoding piece) {
    long[] ids = piece.getIds();
    for (int i = 0; i < ids.length; i++) {
      if (piece.getSpecialTokenMask()[i] == 0) {
        content.add(ids[i]);
      }
    }
  }

  @Override
  public int size(PreparedPrompt prompt) {
    return 1;
  }

  @Override
  public long inputBytes(Prompt prompt) {
    return prompt.text() == null ? 0 : prompt.text().length;
  }

  @Override
  public Object identity(PreparedPrompt prompt) {
    return options.doSample() ? null : LongBuffer.wrap(prompt.ids());
  }

  @Override
  public List<List<GeneratedText>> infer(List<PreparedPrompt> batch) {
    List<DecodeRequest<long[]>> requests = new ArrayList<>(batch.size());
    for (PreparedPrompt prompt : batch) {
      requests.add(
          new DecodeRequest<>(
              encoderDecoder
                  ? new long[] {
                    model.pack().spec().generation().orElseThrow().decoderStart().orElseThrow()
                  }
                  : prompt.ids(),
              options.maxNewTokens(),
              prompt.seed(),
              prompt.ids()));
    }
    List<List<DecodedSequence>> decoded = loop.run(requests);
    List<List<GeneratedText>> results = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      int promptTokens = batch.get(i).ids().length;
      results.add(
          decoded.get(i).stream()
              .limit(options.numReturnSequences())
              .map(s -> text(s, promptTokens))
              .toList());
    }
    return results;
  }

  private GeneratedText text(DecodedSequence sequence, int promptTokens) {
    int count = sequence.tokens().length;
    return new GeneratedText(
        SequenceText.of(sequence, options.stop(), model.tokenizer()),
        count,
        promptTokens,
        sequence.reason(),
        sequence.logProbability() / count);
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
