package io.lakegen.task.generate;

import static io.lakegen.decode.DecodingOptions.DO_SAMPLE;
import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.NUM_BEAMS;
import static io.lakegen.decode.DecodingOptions.REPETITION_PENALTY;
import static io.lakegen.decode.DecodingOptions.STOP;
import static io.lakegen.decode.DecodingOptions.TEMPERATURE;
import static io.lakegen.decode.DecodingOptions.TOP_K;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.decode.DecodedSequence.FinishReason;
import io.lakegen.decode.Fixture;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.generate.TextGenerator.GeneratedText;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextGeneratorTest {
  private static final Fixture GPT2 = Fixture.load("gpt2");
  private static final String LONG = "The lake lies still in the morning. ".repeat(20);

  private static TextGenerator generator(LoadedModel model, OptionValues options) {
    return new Generate().open(model, options, new Budget(1024));
  }

  private static TextGenerator generator(OptionValues options) {
    return generator(GPT2.model(), options);
  }

  private static RowInput prompt(String text) {
    return RowInputs.of("{prompt}", text);
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
    TextGenerator generator = generator(OptionValues.NONE);
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
    for (OptionValues options :
        List.of(
            OptionValues.NONE.with(MAX_NEW_TOKENS, 1),
            OptionValues.NONE.with(MAX_NEW_TOKENS, 1).with(REPETITION_PENALTY, 1.01),
            OptionValues.NONE
                .with(MAX_NEW_TOKENS, 1)
                .with(DO_SAMPLE, true)
                .with(TEMPERATURE, 0.2)
                .with(TOP_K, 1),
            OptionValues.NONE.with(MAX_NEW_TOKENS, 1).with(NUM_BEAMS, 2))) {
      assertThat(generate(generator(options), "The lake").meanLogProbability())
          .isCloseTo(expected, within(1e-4));
    }
  }

  @Test
  void stopsBeforeAStopText() throws RowException {
    GeneratedText whole = generate(generator(OptionValues.NONE), "The lake");
    String stop = whole.text().substring(whole.text().length() - 6, whole.text().length() - 3);
    GeneratedText cut =
        generate(generator(OptionValues.NONE.with(STOP, List.of("never this", stop))), "The lake");
    assertThat(cut.finishReason()).isEqualTo(FinishReason.stop);
    assertThat(cut.text())
        .isEqualTo(whole.text().substring(0, whole.text().indexOf(stop)))
        .doesNotContain(stop);
    assertThat(cut.tokenCount()).isLessThan(whole.tokenCount());
  }

  @Test
  void refusesAPromptThatLeavesNoRoom() {
    TextGenerator generator = generator(OptionValues.NONE);
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
    assertThatThrownBy(() -> generator.prepare(prompt(null)))
        .hasMessage("the text is null (expected: a text)");
  }

  @Test
  void truncationKeepsTheEndOfACausalPrompt() throws RowException {
    TextGenerator generator =
        generator(GPT2.model(), OptionValues.NONE.with(Generate.TRUNCATE_PROMPT, true));
    long[] ids = generator.prepare(prompt(LONG + "A small red boat")).ids();
    assertThat(ids).hasSize(44);
    assertThat(GPT2.model().tokenizer().decode(ids)).endsWith("A small red boat");
    assertThat(generator.infer(List.of(generator.prepare(prompt(LONG)))).get(0)).hasSize(1);
  }

  @Test
  void truncationKeepsTheStartAndTheEndTokenOfAnEncodersInput() throws RowException {
    Fixture t5 = Fixture.load("t5");
    TextGenerator generator =
        generator(t5.model(), OptionValues.NONE.with(Generate.TRUNCATE_PROMPT, true));
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
      TextGenerator generator = generator(fixture.model(), OptionValues.NONE);
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
      OptionValues options = OptionValues.NONE;
      long[] framed = generator(model, options).prepare(prompt("The lake")).ids();
      assertThat(model.tokenizer().decode(framed, false)).isEqualTo("<s>Q: The lake</s>A:");
      assertThat(framed[0]).isEqualTo(1);
      long[] plain =
          generator(model, options.with(Generate.NO_CHAT_TEMPLATE, true))
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
    TextGenerator greedy = generator(OptionValues.NONE);
    assertThat(greedy.identity(greedy.prepare(prompt("The lake"))))
        .isEqualTo(greedy.identity(greedy.prepare(prompt("The lake"))))
        .isNotEqualTo(greedy.identity(greedy.prepare(prompt("A lake"))));
    TextGenerator sampling = generator(OptionValues.NONE.with(DO_SAMPLE, true));
    assertThat(sampling.identity(sampling.prepare(prompt("The lake")))).isNull();
  }

  @Test
  void refusesOptionsThatThePackCannotServe() {
    Problems problems = new Problems();
    new Generate()
        .check(OptionValues.NONE.with(MAX_NEW_TOKENS, 64), GPT2.model().pack().spec(), problems);
    assertThat(problems.list())
        .extracting(Problem::toString)
        .containsExactly(
            "max-new-tokens: 64 (expected: less than the model's context of 64 tokens)");
  }

  @Test
  void namesAllMistakesInOptions() {
    Problems problems = new Problems();
    OptionValues options =
        OptionValues.parse(
            new Generate().data().options(),
            new TreeMap<>(
                Map.of(
                    "max-new-tokens", 2,
                    "min-new-tokens", 3,
                    "no-repeat-ngram-size", -1,
                    "temperature", "-1",
                    "top-p", 0.5,
                    "top-k", "many",
                    "num-return-sequences", 4,
                    "stop", List.of(""),
                    "tempature", 1)),
            problems);
    new Generate().check(options, problems);
    assertThat(
            problems.list().stream()
                .map(Problem::toString)
                .map(p -> p.replaceAll("one of.*;", "...;")))
        .containsExactly(
            "no-repeat-ngram-size: -1 (expected: 0 or more)",
            "stop: [] (expected: at least one character in each)",
            "tempature: unknown option (expected: ...; did you mean temperature?)",
            "temperature: -1 (expected: above 0; leave out do-sample for the best token)",
            "top-k: many (expected: a whole number)",
            "min-new-tokens: 3 (expected: at most max-new-tokens 2)",
            "do-sample: false (expected: true with temperature, top-k or top-p)",
            "num-return-sequences: 4 (expected: at most num-beams 1, or do-sample)");
  }

  /** Rows that take seconds are worth a Spark task each, or every four; quick ones every 32. */
  @Test
  void rowsOfLargeModelsAreWorthATaskSooner(@TempDir Path folder) throws IOException {
    OptionValues options = OptionValues.NONE;
    assertThat(new Generate().minTaskRows(options, GPT2.model().pack())).isEqualTo(32);
    ModelPack large =
        new ModelPack(folder, GPT2.model().pack().spec(), GPT2.model().pack().sha256(), Map.of());
    try (RandomAccessFile weights =
        new RandomAccessFile(folder.resolve("decoder.pt").toFile(), "rw")) {
      weights.setLength(4 * 135_000_000L); // without blocks on the disk
      assertThat(large.parameters()).isEqualTo(135_000_000);
      assertThat(new Generate().minTaskRows(options, large)).isEqualTo(10);
      assertThat(new Generate().minTaskRows(options.with(NUM_BEAMS, 2), large)).isEqualTo(5);
      assertThat(new Generate().minTaskRows(options.with(MAX_NEW_TOKENS, 1), large)).isEqualTo(32);
      assertThat(new Generate().minTaskRows(options.with(MAX_NEW_TOKENS, 200), large)).isEqualTo(4);
    }
  }
}
