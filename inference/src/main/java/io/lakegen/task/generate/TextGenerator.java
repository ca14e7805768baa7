package io.lakegen.task.generate;

import static io.lakegen.decode.DecodingOptions.DO_SAMPLE;
import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.NUM_RETURN_SEQUENCES;
import static io.lakegen.decode.DecodingOptions.STOP;
import static io.lakegen.task.generate.Generate.NO_CHAT_TEMPLATE;
import static io.lakegen.task.generate.Generate.TRUNCATE_PROMPT;

import ai.djl.huggingface.tokenizers.Encoding;
import io.lakegen.decode.ContextEncoder;
import io.lakegen.decode.DecodeLoop;
import io.lakegen.decode.DecodeRequest;
import io.lakegen.decode.DecodedSequence;
import io.lakegen.decode.DecodedSequence.FinishReason;
import io.lakegen.decode.SequenceText;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.LongStream;

/**
 * Text from prompts, with a {@code text-generation} pack (causal) or a {@code text2text-generation}
 * pack (encoder-decoder). A whole window of rows is one batch here: the decoding loop does its own
 * batching.
 */
public final class TextGenerator
    implements Task<TextGenerator.PreparedPrompt, List<TextGenerator.GeneratedText>> {
  /** Values that a tokenizer joins with what stands before them in different ways. */
  private static final List<String> PROBES =
      List.of("a", "The", "7", " b", "\n", ".", "(", "\"", "é", "中");

  /**
   * From so many tokens on a common prefix is read faster than the rows' copies: on two cores from
   * some 130 in batches of 64 rows, from some 250 in batches of 16.
   */
  private static final int MIN_COMMON = 192;

  private final LoadedModel model;
  private final PackSpec.Tokenizer tokenizer;
  private final PromptTemplate template;
  private final String examples;
  private final OptionValues options;
  private final boolean encoderDecoder;
  private final int promptRoom;
  private final DecodeLoop<long[]> loop;

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
   * A generator over a loaded pack, which stays the caller's to close.
   *
   * @param examples stands before every prompt; may be empty
   */
  TextGenerator(
      LoadedModel model,
      PromptTemplate template,
      String examples,
      OptionValues options,
      Budget budget) {
    this.model = model;
    this.template = template;
    this.examples = examples;
    this.options = options;
    PackSpec spec = model.pack().spec();
    this.tokenizer = spec.tokenizer().orElseThrow();
    this.encoderDecoder = spec.tasks().contains(Generate.ENCODER_DECODER);
    this.promptRoom =
        encoderDecoder
            ? tokenizer.maxLength()
            : Math.min(
                tokenizer.maxLength(),
                spec.generation().orElseThrow().maxLength() - options.get(MAX_NEW_TOKENS));
    this.loop =
        new DecodeLoop<>(
            model,
            options,
            encoderDecoder ? new TextEncoder(model.graph("encoder")) : ContextEncoder.none(),
            budget,
            DecodeLoop.BudgetUnit.SLOTS,
            DecodeLoop.readsCommonPrefix(model) ? commonTokens() : new long[0]);
  }

  /**
   * What prompts begin with, whatever the columns hold: the tokens of examples, the template's
   * first words and the chat template. A tokenizer may join the last of them with what follows.
   * None where they are few.
   */
  public long[] commonTokens() {
    long[] common =
        PROBES.stream()
            .map(value -> encode(Collections.nCopies(template.columns().size(), value)).getIds())
            .reduce(TextGenerator::common)
            .orElseThrow();
    return common.length < MIN_COMMON ? new long[0] : common;
  }

  private static long[] common(long[] a, long[] b) {
    int different = Arrays.mismatch(a, b);
    return different < 0 ? a : Arrays.copyOf(a, different);
  }

  @Override
  public PreparedPrompt prepare(RowInput row) throws RowException {
    List<String> values = new ArrayList<>(template.columns().size());
    for (String column : template.columns()) {
      values.add(row.text("{" + column + "}"));
    }
    return new PreparedPrompt(fit(encode(values)), row.seed());
  }

  private Encoding encode(List<String> values) {
    String text = examples + template.fill(values);
    boolean chat = !options.get(NO_CHAT_TEMPLATE) && tokenizer.chatTemplate().isPresent();
    // The template spells the special tokens out.
    String prompt = chat ? tokenizer.chatTemplate().get().replace("{prompt}", text) : text;
    return model.encode(prompt.length(), t -> t.encode(prompt, !chat, true));
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
      if (!options.get(TRUNCATE_PROMPT) || room < 1) {
        throw RowException.prepare(
            "prompt_too_long",
            "the prompt has "
                + (all.length + head + tail)
                + " tokens (expected: at most "
                + promptRoom
                + (encoderDecoder
                    ? ", the longest input of the model"
                    : ", the model's context less " + options.get(MAX_NEW_TOKENS) + " new tokens")
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
  public boolean takesWholeWindows() {
    return true;
  }

  @Override
  public Object identity(PreparedPrompt prompt) {
    return options.get(DO_SAMPLE) ? null : LongBuffer.wrap(prompt.ids());
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
              options.get(MAX_NEW_TOKENS),
              prompt.seed(),
              prompt.ids()));
    }
    List<List<DecodedSequence>> decoded = loop.run(requests);
    List<List<GeneratedText>> results = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      int promptTokens = batch.get(i).ids().length;
      results.add(
          decoded.get(i).stream()
              .limit(options.get(NUM_RETURN_SEQUENCES))
              .map(s -> text(s, promptTokens))
              .toList());
    }
    return results;
  }

  private GeneratedText text(DecodedSequence sequence, int promptTokens) {
    int count = sequence.tokens().length;
    return new GeneratedText(
        SequenceText.of(sequence, options.get(STOP), model.tokenizer()),
        count,
        promptTokens,
        sequence.reason(),
        sequence.logProbability() / count);
  }

  @Override
  public List<List<Object>> values(List<GeneratedText> result) {
    return result.stream()
        .map(
            text ->
                List.<Object>of(
                    text.text(),
                    text.tokenCount(),
                    text.promptTokens(),
                    text.finishReason().name(),
                    text.meanLogProbability()))
        .toList();
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
