package io.lakegen.jobs.show;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TextViewTest {
  @Test
  void textsAreWrappedBehindTheirNames() {
    assertThat(TextView.wrap("1.  text  ", "one two three four five six seven", 40))
        .containsExactly("1.  text  one two three four five six", "          seven");
    assertThat(TextView.wrap("  ", "a\n\nb", 40)).containsExactly("  a", "  ", "  b");
  }

  @Test
  void aTextWithoutSpacesIsWrappedToo() {
    assertThat(TextView.wrap("", "x".repeat(45), 40)).containsExactly("x".repeat(40), "xxxxx");
  }

  @Test
  void numbersAreShort() {
    assertThat(Values.number(12)).isEqualTo("12");
    assertThat(Values.number(-0.25)).isEqualTo("-0.2500");
    assertThat(Values.number(1234.5678)).isEqualTo("1,234.6");
    assertThat(Values.number(1.5e-7)).isEqualTo("1.50e-07");
    assertThat(Values.size(1_234_567)).isEqualTo("1.2 MB");
  }

  @Test
  void nothingOfAValueBecomesMarkup() {
    assertThat(Html.escape("<a href='x'>\"&\u0000\ud83d\ude00\ud83d"))
        .isEqualTo("&lt;a href=&#39;x&#39;&gt;&quot;&amp;\uFFFD\ud83d\ude00\uFFFD");
    assertThat(
            Html.command(java.util.List.of("lakegen", "embed", "--input", "it's", "--limit", "3")))
        .isEqualTo("lakegen embed \\\n  --input 'it'\\''s' \\\n  --limit 3");
  }
}
