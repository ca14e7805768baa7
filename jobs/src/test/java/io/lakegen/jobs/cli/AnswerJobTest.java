package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code answer}, its SQL function included, against the reference's answers. */
class AnswerJobTest {
  private static final Path FIXTURE =
      Path.of("../inference/src/test/resources/fixtures/distilbert-answers").toAbsolutePath();
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private static JsonNode testCase(String name) throws IOException {
    for (JsonNode one : JSON.readTree(FIXTURE.resolve("expected.json").toFile()).path("cases")) {
      if (one.path("name").asText().equals(name)) {
        return one.path("rows");
      }
    }
    throw new IllegalArgumentException(name);
  }

  private Path input(JsonNode rows) throws IOException {
    List<String> lines = new ArrayList<>();
    for (JsonNode row : rows) {
      ObjectNode line = JSON.createObjectNode();
      line.set("id", JSON.getNodeFactory().numberNode(lines.size()));
      line.set("question", row.path("question"));
      line.set("context", row.path("context"));
      lines.add(line.toString());
    }
    return Files.write(folder.resolve("in.jsonl"), lines);
  }

  private Result answer(Path input, Object... more) {
    List<Object> words =
        new ArrayList<>(
            List.of("answer", "--input", input, "--model", FIXTURE.resolve("pack"), "--output"));
    words.add(folder.resolve("out"));
    words.addAll(List.of(more));
    return TestJobs.run(words.toArray());
  }

  @Test
  void theJobAndTheFunctionGiveTheReferencesAnswers() throws IOException {
    JsonNode expected = testCase("top-5");
    Path input = input(expected);
    Result result = answer(input, "--question-column", "question", "--top-k", 5);
    assertThat(result.status()).as(result.err()).isZero();
    List<Row> rows =
        TestJobs.rows(folder + "/out")
            .orderBy("id", "answer_index")
            .selectExpr(
                "cast(id AS int)",
                "answer",
                "start",
                "end",
                "substring(context, start + 1, end - start)")
            .collectAsList();
    int next = 0;
    for (int i = 0; i < expected.size(); i++) {
      for (JsonNode one : expected.get(i).path("answers")) {
        Row row = rows.get(next++);
        String text = one.path("answer").asText();
        assertThat(row)
            .isEqualTo(
                org.apache.spark.sql.RowFactory.create(
                    i, text, one.path("start").asInt(), one.path("end").asInt(), text));
      }
    }
    assertThat(rows).hasSize(next);

    io.lakegen.spark.LakegenFunctions.register(TestJobs.spark());
    TestJobs.spark().read().json(input.toString()).createOrReplaceTempView("questions");
    String model = FIXTURE.resolve("pack").toString();
    List<Row> called =
        TestJobs.spark()
            .sql("SELECT ai_answer(context, question, '" + model + "') FROM questions ORDER BY id")
            .collectAsList();
    JsonNode plain = testCase("plain");
    for (int i = 0; i < plain.size(); i++) {
      assertThat(called.get(i).getString(0))
          .isEqualTo(plain.get(i).path("answers").get(0).path("answer").asText());
    }
  }

  @Test
  void badRowsAreErrorRowsAndOneQuestionIsAskedFor() throws IOException {
    Path input =
        Files.writeString(
            folder.resolve("in.jsonl"),
            """
            {"question": "What is a lake?", "context": "a body of water"}
            {"question": "", "context": "a body of water"}
            {"question": "What is a lake?", "context": "  "}
            {"question": "What is a lake?"}
            """);
    assertThat(answer(input).err())
        .contains("question: missing (expected: --question TEXT or --question-column NAME)");
    Result result = answer(input, "--question-column", "question", "--max-error-rate", 1);
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(
            TestJobs.outcomes(folder + "/out")
                .selectExpr("coalesce(error.type, 'ok')")
                .collectAsList()
                .stream()
                .map(r -> r.getString(0)))
        .containsExactlyInAnyOrder("ok", "empty_text", "blank_text", "null_text");
  }
}
