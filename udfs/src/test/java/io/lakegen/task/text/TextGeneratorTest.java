package io.lakegen.task.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackStore;
import io.lakegen.task.RowException;
import io.lakegen.task.text.DecodedSequence.FinishReason;
import io.lakegen.task.text.TextGenerator.GeneratedText;
import io.lakegen.task.text.TextGenerator.Prompt;
import io.lakegen.task.text.TextGenerator.PromptOptions;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextGeneratorTest {
  private static final Fixture GPT2 = Fixture.load("gpt2");
  private static final String LONG = "The lake lies still in the morning. ".repeat(20);

  private static TextGenerator generator(
      LoadedModel model, GenerationOptions options, PromptOptions.LongPrompts longPrompts) {
    return new TextGenerator(
        model, options, new PromptOptions(longPrompts, PromptOptions.Frame.chat), 1024);
  }

  private static TextGenerator generator(GenerationOptions options) {
    return generator(GPT2.model(), options, PromptOptions.LongPrompts.reject);
  }

  private static Prompt prompt(String text) {
    return new Prompt(text.getBytes(StandardCharsets.UTF_8), 5);
  }

  private static GeneratedText generate(TextGenerator generator, String text) throws RowException {
    return generator.infer(List.of(generator.prepare(prompt(text)))).get(0).get(0);
  }

  private static long[] greedy(Fixture fixture, int row) {
    return Fixture.ids(
        fixture.expected().path("cases").path(0).path("sequences").path(row).path(0));
  }

  @Test
  void givesTextCountsAndReason() throws RowException {
    TextGenerator generator = generator(GenerationOptions.builder().build());
    GeneratedText text = generate(generator, "The lake");
    assertThat(text.tokenCount()).isEqualTo(greedy(GPT2, 1).length).isEqualTo(20);
    assertThat(text.promptTokens()).isEqualTo(4);
    assertThat(text.finishReason()).isEqualTo(FinishReason.length);
    assertThat(text.text()).isNotEmpty();
    assertThat(GPT2.model().tokenizer().decode(greedy(GPT2, 1), true)).startsWith(text.text());
    GeneratedText ended = generate(generator, "Children throw stones");
    assertThat(ended.finishReason()).isEqualTo(FinishReason.eos);
  }

  @Test
  void meanLogProbabilityIsThatOfTheModelItself() throws RowException {
    // The first token's, from the reference's logits; penalties and temperature do not change it.
    float[] logits = Fixture.floats(GPT2.expected().path("firstLogits"));
    int vocabulary = logits.length / GPT2.prompts().size();
    double sum = 0;
    for (int i = vocabulary; i < 2 * vocabulary; i++) {
      sum += Math.exp(logits[i]);
    }
    double expected = logits[vocabulary + (int) greedy(GPT2, 1)[0]] - Math.log(sum);
    for (GenerationOptions options :
        List.of(
            GenerationOptions.builder().maxNewTokens(1).build(),
            GenerationOptions.builder().maxNewTokens(1).repetitionPenalty(1.01).build(),
            GenerationOptions.builder().maxNewTokens(1).sampling().temperature(0.2).topK(1).build(),
            GenerationOptions.builder().maxNewTokens(1).numBeams(2).build())) {
      assertThat(generate(generator(options), "The lake").meanLogProbability())
          .isCloseTo(expected, within(1e-4));
    }
  }

  @Test
  void stopsBeforeAStopText() throws RowException {
    GeneratedText whole = generate(generator(GenerationOptions.builder().build()), "The lake");
    String stop = whole.text().substring(whole.text().length() - 6, whole.text().length() - 3);
    GeneratedText cut =
        generate(
            generator(GenerationOptions.builder().stop(List.of("never this", stop)).build()),
            "The lake");
    assertThat(cut.finishReason()).isEqualTo(FinishReason.stop);
    assertThat(cut.text())
        .isEqualTo(whole.text().substring(0, whole.text().indexOf(stop)))
        .doesNotContain(stop);
    assertThat(cut.tokenCount()).isLessThan(whole.tokenCount());
  }

  @Test
  void findsStopTextsThatSpanTokensAndCharactersThatSpanTokens() {
    Endings endings = new Endings(List.of(), List.of("né\n", "湖"), GPT2.model().tokenizer());
    for (String text : List.of("a cherné\nand", "the 湖 lies")) {
      long[] ids = GPT2.model().tokenizer().encode(text).getIds();
      DecodeRow row =
          new DecodeRow.Group(new DecodeRequest<>(new long[] {1}, 100, 0, null), 0, 0).rows.get(0);
      List<FinishReason> reasons = new ArrayList<>();
      for (long id : ids) {
        reasons.add(endings.reason(row, id));
        row.append(id, 0);
      }
      String before = text.contains("湖") ? "the 湖" : "a cherné\n";
      int complete = GPT2.model().tokenizer().encode(before).getIds().length;
      assertThat(reasons.indexOf(FinishReason.stop)).isEqualTo(complete - 1);
    }
  }

  @Test
  void neverEndsInHalfACharacter() {
    long[] ids = GPT2.model().tokenizer().encode("ok 湖").getIds();
    for (int cut = ids.length; cut > ids.length - 3; cut--) {
      DecodedSequence sequence =
          new DecodedSequence(Arrays.copyOf(ids, cut), FinishReason.length, 0, 0);
      assertThat(SequenceText.of(sequence, List.of(), GPT2.model().tokenizer()))
          .isEqualTo(cut == ids.length ? "ok 湖" : "ok ");
    }
  }

  @Test
  void refusesAPromptThatLeavesNoRoom() {
    TextGenerator generator = generator(GenerationOptions.builder().build());
    int tokens =
        Stream.of(GPT2.model().tokenizer().encode(LONG, true, true))
            .mapToInt(
                e ->
                    e.getIds().length
                        + Stream.of(e.getOverflowing()).mapToInt(o -> o.getIds().length).sum())
            .sum();
    assertThatThrownBy(() -> generator.prepare(prompt(LONG)))
        .isInstanceOf(RowException.class)
        .hasMessage(
            "the prompt has "
                + tokens
                + " tokens (expected: at most 44, the model's context less 20 new tokens;"
                + " shorten it or give --truncate-prompt)");
    assertThatThrownBy(() -> generator.prepare(new Prompt(null, 0)))
        .hasMessage("the text is null (expected: a text)");
  }

  @Test
  void truncationKeepsTheEndOfACausalPrompt() throws RowException {
    TextGenerator generator =
        generator(
            GPT2.model(), GenerationOptions.builder().build(), PromptOptions.LongPrompts.truncate);
    long[] ids = generator.prepare(prompt(LONG + "A small red boat")).ids();
    assertThat(ids).hasSize(44);
    assertThat(GPT2.model().tokenizer().decode(ids)).endsWith("A small red boat");
    assertThat(generator.infer(List.of(generator.prepare(prompt(LONG)))).get(0)).hasSize(1);
  }

  @Test
  void truncationKeepsTheStartAndTheEndTokenOfAnEncodersInput() throws RowException {
    Fixture t5 = Fixture.load("t5");
    TextGenerator generator =
        generator(
            t5.model(), GenerationOptions.builder().build(), PromptOptions.LongPrompts.truncate);
    long[] whole = t5.model().tokenizer().encode("The lake").getIds();
    long[] ids = generator.prepare(prompt(LONG)).ids();
    assertThat(ids).hasSize(t5.model().pack().spec().tokenizer().orElseThrow().maxLength());
    assertThat(ids[0]).isEqualTo(whole[0]);
    assertThat(ids[ids.length - 1]).isEqualTo(whole[whole.length - 1]);
  }

  @Test
  void decodesEncoderDecoderModels() throws RowException {
    for (String name : List.of("t5", "bart")) {
      Fixture fixture = Fixture.load(name);
      TextGenerator generator =
          generator(
              fixture.model(),
              GenerationOptions.builder().build(),
              PromptOptions.LongPrompts.reject);
      List<TextGenerator.PreparedPrompt> prompts =
          fixture.prompts().stream().map(p -> new TextGenerator.PreparedPrompt(p, 0)).toList();
      List<List<GeneratedText>> texts = generator.infer(prompts);
      for (int row = 0; row < prompts.size(); row++) {
        assertThat(texts.get(row).get(0).tokenCount()).isEqualTo(greedy(fixture, row).length);
      }
    }
  }

  /** The GPT-2 fixture with other tokenizer settings. */
  private static LoadedModel variant(Path folder, Map<String, Object> tokenizer)
      throws IOException {
    Path pack = Fixture.folder("gpt2").resolve("pack");
    for (String file : List.of("decoder.pt", "golden.json", "tokenizer.json")) {
      Files.copy(pack.resolve(file), folder.resolve(file));
    }
    ObjectMapper json = new ObjectMapper();
    ObjectNode spec = (ObjectNode) json.readTree(pack.resolve("pack.json").toFile());
    tokenizer.forEach((k, v) -> ((ObjectNode) spec.path("tokenizer")).putPOJO(k, v));
    json.writeValue(folder.resolve("pack.json").toFile(), spec);
    return LoadedModel.load(
        new PackStore(folder.resolve("store"))
            .fetch(folder.toUri().toString(), new Configuration()),
        Device.cpu(),
        1);
  }

  @Test
  void putsTheChatTemplateAroundThePrompt(@TempDir Path folder) throws Exception {
    try (LoadedModel model = variant(folder, Map.of("chatTemplate", "<s>Q: {prompt}</s>A:"))) {
      GenerationOptions options = GenerationOptions.builder().build();
      long[] framed =
          generator(model, options, PromptOptions.LongPrompts.reject)
              .prepare(prompt("The lake"))
              .ids();
      assertThat(model.tokenizer().decode(framed, false)).isEqualTo("<s>Q: The lake</s>A:");
      assertThat(framed[0]).isEqualTo(1);
      long[] plain =
          new TextGenerator(
                  model,
                  options,
                  new PromptOptions(PromptOptions.LongPrompts.reject, PromptOptions.Frame.none),
                  1024)
              .prepare(prompt("The lake"))
              .ids();
      assertThat(plain).isEqualTo(GPT2.prompts().get(1));
    }
  }

  @Test
  void theTokenizerReadsAsMuchAsThePackSays(@TempDir Path folder) throws Exception {
    try (LoadedModel model = variant(folder, Map.of("maxLength", 700))) {
      assertThat(model.tokenizer().encode(LONG.repeat(10)).getIds()).hasSize(700);
    }
  }

  @Test
  void equalPromptsShareAResultUnlessTheyAreSampled() throws RowException {
    TextGenerator greedy = generator(GenerationOptions.builder().build());
    assertThat(greedy.identity(greedy.prepare(prompt("The lake"))))
        .isEqualTo(greedy.identity(greedy.prepare(prompt("The lake"))))
        .isNotEqualTo(greedy.identity(greedy.prepare(prompt("A lake"))));
    TextGenerator sampling = generator(GenerationOptions.builder().sampling().build());
    assertThat(sampling.identity(sampling.prepare(prompt("The lake")))).isNull();
  }

  @Test
  void refusesOptionsThatThePackCannotServe() {
    assertThatThrownBy(() -> generator(GenerationOptions.builder().maxNewTokens(64).build()))
        .hasMessage("max-new-tokens: 64 (expected: less than the model's context of 64 tokens)");
    assertThatThrownBy(
            () ->
                generator(
                    Fixture.load("bert").model(),
                    GenerationOptions.builder().build(),
                    PromptOptions.LongPrompts.reject))
        .hasMessage(
            "model: a pack for feature-extraction (expected: a pack for text-generation or"
                + " text2text-generation)");
  }

  @Test
  void namesAllMistakesInOptions() {
    assertThatThrownBy(
            () ->
                GenerationOptions.builder()
                    .maxNewTokens(0)
                    .minNewTokens(3)
                    .temperature(-1)
                    .topP(1.5)
                    .numReturnSequences(4)
                    .stop(List.of(""))
                    .build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            String.join(
                "\n",
                "max-new-tokens: 0 (expected: 1 or more)",
                "min-new-tokens: 3 (expected: at most max-new-tokens 0)",
                "temperature: -1.0 (expected: above 0; leave out do-sample for the best token)",
                "top-p: 1.5 (expected: above 0, at most 1)",
                "do-sample: false (expected: true with temperature, top-k or top-p)",
                "num-return-sequences: 4 (expected: at most num-beams 1, or do-sample)",
                "stop: an empty text (expected: at least one character)"));
  }

  @Test
  void slotsAreRoundedUp() {
    assertThat(LongStream.of(SlotBatch.slotCapacity(0, 5, 20), SlotBatch.slotCapacity(5, 33, 34)))
        .containsExactly(32L, 64L);
  }
}
