package io.lakegen.task.generate;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.util.List;
import org.junit.jupiter.api.Test;

class PromptTemplateTest {

  @Test
  void fillsColumnsIntoTheirPlaces() {
    PromptTemplate template =
        PromptTemplate.parse("template", "{{\"{a}\"}}: {b c}{a}\n", new Problems()).orElseThrow();
    assertThat(template.columns()).containsExactly("a", "b c", "a");
    assertThat(template.fill(List.of("{b c}", "2", "3"))).isEqualTo("{\"{b c}\"}: 23\n");
    assertThat(PromptTemplate.ofColumn("x").fill(List.of("whole"))).isEqualTo("whole");
  }

  private static String problem(String template) {
    Problems problems = new Problems();
    assertThat(PromptTemplate.parse("template", template, problems)).isEmpty();
    assertThat(problems.list()).hasSize(1);
    return problems.list().get(0).toString();
  }

  @Test
  void refusesBracesWithoutPartner() {
    for (String bad : List.of("a {b", "{}", "a } b {c}")) {
      assertThat(problem(bad)).startsWith("template: '").contains("(expected: {column}, or ");
    }
    assertThat(problem("always the same {{x}}"))
        .isEqualTo(
            "template: no placeholder (expected: at least one, such as {prompt}, or all prompts are"
                + " the same)");
  }

  @Test
  void examplesStandInTheTemplateWithTheirOutput() {
    PromptTemplate template =
        PromptTemplate.parse("template", "{a}:", new Problems()).orElseThrow();
    Problems problems = new Problems();
    assertThat(
            Examples.render(
                template, "{\"a\":\"x\",\"output\":1}\n\n{\"a\":2,\"output\":\"y\"}", problems))
        .isEqualTo("x: 1\n\n2: y\n\n");
    assertThat(problems.isEmpty()).isTrue();
    Examples.render(template, "{\"a\":1}\nno json", problems);
    Examples.render(template, "\n", problems);
    assertThat(problems.list())
        .extracting(Problem::toString)
        .containsExactly(
            "examples: line 1: {\"a\":1} (expected: a value for each of [a, output])",
            "examples: line 2: no json (expected: a JSON object)",
            "examples: an empty file (expected: at least one line of JSON)");
  }
}
