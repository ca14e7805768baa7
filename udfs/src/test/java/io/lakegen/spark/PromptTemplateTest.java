package io.lakegen.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class PromptTemplateTest {

  @Test
  void fillsColumnsIntoTheirPlaces() {
    PromptTemplate template = PromptTemplate.parse("{{\"{a}\"}}: {b c}{a}\n");
    assertThat(template.columns()).containsExactly("a", "b c", "a");
    assertThat(template.fill(List.of("{b c}", "2", "3"))).isEqualTo("{\"{b c}\"}: 23\n");
    assertThat(PromptTemplate.ofColumn("x").fill(List.of("whole"))).isEqualTo("whole");
  }

  @Test
  void refusesBracesWithoutPartner() {
    for (String bad : List.of("a {b", "{}", "a } b {c}")) {
      assertThatThrownBy(() -> PromptTemplate.parse(bad))
          .hasMessageContaining("(expected: {column}, or ");
    }
    assertThatThrownBy(() -> PromptTemplate.parse("always the same {{x}}"))
        .hasMessage(
            "no placeholder (expected: at least one, such as {prompt}, or all prompts are the same)");
  }
}
