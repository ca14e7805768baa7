package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerateJobTest {
  private static final Path WORDS = Path.of("../sample-data/prompts/words.jsonl").toAbsolutePath();
  private static final Path DEFINITIONS =
      Path.of("../sample-data/models/definitions-gpt2").toAbsolutePath();
  private static final Path FIXTURE =
      Path.of("../inference/src/test/resources/fixtures/gpt2").toAbsolutePath();

  @TempDir Path folder;

  private Result generate(Path input, String output, Object... more) {
    List<Object> args =
        new ArrayList<>(List.of("generate", "--input", input, "--output", folder.resolve(output)));
    args.addAll(List.of(more));
    return TestJobs.run(args.toArray());
  }

  private List<Row> rows(String output, String... columns) {
    return TestJobs.outcomes(folder.resolve(output))
        .selectExpr(columns)
        .orderBy(columns[0], columns[1])
        .collectAsList();
  }

  private Path write(String name, String... lines) throws IOException {
    return Files.write(folder.resolve(name), List.of(lines));
  }

  @Test
  void definesWordsByATemplate() {
    Result result =
        generate(
            WORDS,
            "out",
            "--template",
            "{word}:",
            "--model",
            DEFINITIONS,
            "--limit",
            40,
            "--max-new-tokens",
            40);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows =
        rows(
            "out",
            "word",
            "sequence_index",
            "text",
            "token_count",
            "prompt_tokens",
            "finish_reason",
            "mean_logprob",
            "error");
    assertThat(rows).hasSize(40);
    for (Row row : rows) {
      assertThat(row.getInt(1)).isZero();
      assertThat(row.getString(2)).isNotBlank();
      assertThat(row.getInt(3)).isBetween(2, 40);
      assertThat(row.getInt(4)).isGreaterThan(1);
      assertThat(row.getString(5)).isIn("eos", "length");
      assertThat(row.getDouble(6)).isBetween(-6.0, 0.0);
      assertThat(row.isNullAt(7)).isTrue();
    }
    assertThat(rows.stream().filter(r -> r.getString(5).equals("eos"))).hasSizeGreaterThan(20);
  }

  @Test
  void drawsTheSameWhateverThePartitionsAndTheCache() throws IOException {
    List<List<Row>> runs = new ArrayList<>();
    Path parts = Files.createDirectory(folder.resolve("parts"));
    List<String> lines = Files.readAllLines(WORDS).subList(0, 96);
    for (int i = 0; i < 3; i++) {
      Files.write(parts.resolve(i + ".jsonl"), lines.subList(i * 32, i * 32 + 32));
    }
    Path whole = Files.write(folder.resolve("whole.jsonl"), lines);
    Object[] drawing = {
      "--template",
      "{word}:",
      "--model",
      DEFINITIONS,
      "--do-sample",
      "--top-p",
      0.9,
      "--seed",
      7,
      "--num-return-sequences",
      2
    };
    for (Object[] more :
        new Object[][] {{whole, "a", 4096}, {parts, "b", 4096}, {whole, "c", 320}}) {
      List<Object> args = new ArrayList<>(List.of(drawing));
      args.addAll(List.of("--batch-budget", more[2]));
      Result result = generate((Path) more[0], (String) more[1], args.toArray());
      assertThat(result.status()).as(result.err()).isZero();
      runs.add(rows((String) more[1], "word", "sequence_index", "text", "token_count"));
    }
    assertThat(runs.get(0)).hasSize(192);
    assertThat(runs.get(1)).isEqualTo(runs.get(0));
    assertThat(runs.get(2)).isEqualTo(runs.get(0));
    Result other =
        generate(
            whole,
            "d",
            Stream.concat(Stream.of(drawing), Stream.of("--seed=8"))
                .filter(o -> !"--seed".equals(o) && !Integer.valueOf(7).equals(o))
                .toArray());
    assertThat(other.status()).as(other.err()).isZero();
    assertThat(rows("d", "word", "sequence_index", "text", "token_count"))
        .isNotEqualTo(runs.get(0));
  }

  @Test
  void givesTheTokensOfTransformersForPromptsOfATextFile() throws IOException {
    JsonNode expected = new ObjectMapper().readTree(FIXTURE.resolve("expected.json").toFile());
    // Four prompts of the fixture whose tokens the tokenizer gives for these texts.
    Path input = write("in.txt", "A", "The lake", "What is water?", "In the evening");
    Result result =
        generate(
            input,
            "out",
            "--model",
            FIXTURE.resolve("pack"),
            "--num-beams",
            3,
            "--num-return-sequences",
            2);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows = rows("out", "prompt", "sequence_index", "token_count", "prompt_tokens");
    assertThat(rows).hasSize(8);
    JsonNode beams = expected.path("cases").path(5);
    assertThat(beams.path("name").asText()).isEqualTo("beam-3");
    int[] fixtureRows = {0, 5, 1, 4};
    for (int i = 0; i < rows.size(); i++) {
      assertThat(rows.get(i).getInt(1)).isEqualTo(i % 2);
      JsonNode sequences = beams.path("sequences").path(fixtureRows[i / 2]);
      assertThat(rows.get(i).getInt(2)).as("row %d", i).isEqualTo(sequences.path(i % 2).size());
    }
  }

  @Test
  void badPromptsBecomeErrorRows() throws IOException {
    String lengthy = "The lake lies still. ".repeat(30);
    Path input =
        write(
            "in.jsonl",
            "{\"id\": 1, \"prompt\": \"The lake\"}",
            "{\"id\": 2, \"prompt\": \"" + lengthy + "\"}",
            "{\"id\": 3, \"prompt\": null}",
            "{\"id\": 4, \"prompt\": \"  \"}",
            "not json",
            "{\"id\": 5, \"prompt\": \"A small red boat\"}");
    Result result =
        generate(input, "out", "--model", FIXTURE.resolve("pack"), "--max-error-rate", 1);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows = rows("out", "id", "error.type", "text", "error.message");
    assertThat(rows.stream().map(r -> r.getString(1)).toList())
        .containsExactly(
            "malformed_json", null, "prompt_too_long", "null_text", "blank_text", null);
    assertThat(rows.get(2).getString(3))
        .matches("the prompt has \\d+ tokens \\(expected: at most 44, .*give --truncate-prompt\\)");
    assertThat(rows.stream().filter(r -> r.getString(2) != null)).hasSize(2);
    Result cut =
        generate(
            input,
            "cut",
            "--model",
            FIXTURE.resolve("pack"),
            "--max-error-rate",
            1,
            "--truncate-prompt");
    assertThat(cut.status()).as(cut.err()).isZero();
    assertThat(rows("cut", "id", "error.type", "prompt_tokens").get(2).getInt(2)).isEqualTo(44);
  }

  @Test
  void putsExamplesBeforeThePrompt() throws IOException {
    Path examples =
        write("examples.jsonl", "{\"word\": \"cat\", \"n\": 4, \"output\": \"an animal\"}", "");
    Path input = write("in.jsonl", "{\"word\": \"dog\", \"n\": 3}");
    Object[] common = {"--model", DEFINITIONS, "--template", "{word} ({n}):"};
    assertThat(generate(input, "zero", common).status()).isZero();
    Result few =
        generate(
            input,
            "few",
            Stream.concat(Stream.of(common), Stream.of("--examples", examples)).toArray());
    assertThat(few.status()).as(few.err()).isZero();
    int zeroTokens = rows("zero", "word", "prompt_tokens").get(0).getInt(1);
    assertThat(rows("few", "word", "prompt_tokens").get(0).getInt(1)).isGreaterThan(zeroTokens + 5);
  }

  @Test
  void allMistakesInOneMessage() throws IOException {
    Path input = write("in.jsonl", "{\"word\": \"dog\", \"text\": \"x\"}");
    Path examples = write("examples.jsonl", "{\"wrod\": \"cat\"}", "nonsense");
    Result result =
        generate(
            input,
            "out",
            "--model",
            DEFINITIONS,
            "--template",
            "{wodr}:",
            "--examples",
            examples,
            "--top-p",
            2,
            "--max-new-tokens",
            0,
            "--num-beans",
            3);
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains(
            "top-p: 2 (expected: above 0, at most 1)",
            "max-new-tokens: 0 (expected: 1 or more)",
            "--num-beans: unknown option",
            "did you mean --num-beams?",
            "line 1: {\"wrod\": \"cat\"} (expected: a value for each of [wodr, output])",
            "line 2: nonsense (expected: a JSON object)");
    Result columns =
        generate(
            input, "out", "--model", DEFINITIONS, "--template", "{wodr}:", "--max-new-tokens", 128);
    assertThat(columns.status()).isEqualTo(2);
    assertThat(columns.err())
        .contains(
            "template: wodr is not in the input (expected: one of [text, word]; did you mean word?)",
            "max-new-tokens: 128 (expected: less than the model's context of 128 tokens)");
    assertThat(generate(input, "out", "--model", TestJobs.MINILM).err())
        .contains(
            "a pack for feature-extraction (expected: a pack for [text-generation, text2text-generation])");
  }

  @Test
  void anInputColumnThatIsNamedAsTheResultGoesOnUnderAnotherName() throws IOException {
    Path input = write("in.jsonl", "{\"word\": \"dog\", \"text\": \"x\"}");
    Result result = generate(input, "out", "--model", DEFINITIONS, "--template", "{word} {text}:");
    assertThat(result.status()).as(result.err()).isZero();
    Row row = rows("out", "input_text", "text").get(0);
    assertThat(row.getString(0)).isEqualTo("x");
    assertThat(row.getString(1)).isNotBlank().isNotEqualTo("x");
  }

  @Test
  void aTemplateMayNameManyColumnsOfManyTypes() throws IOException {
    Path input =
        Files.writeString(
            folder.resolve("in.jsonl"),
            String.join(
                "\n",
                IntStream.range(0, 3)
                    .mapToObj(i -> "{\"w\":\"a" + i + "\",\"n\":" + i + ",\"b\":true,\"l\":[1]}")
                    .toList()),
            StandardCharsets.UTF_8);
    assertThat(generate(input, "out", "--model", DEFINITIONS, "--template", "{w}{n}{b}:").status())
        .isZero();
    assertThat(generate(input, "out", "--model", DEFINITIONS, "--template", "{l}").err())
        .contains(
            "template: l is array<bigint> (expected: a column of type string, number or boolean)");
  }
}
