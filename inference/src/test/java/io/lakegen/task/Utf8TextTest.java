package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class Utf8TextTest {
  private static RowError errorOf(byte[] utf8) {
    RowException e = catchThrowableOfType(RowException.class, () -> Utf8Text.decode(utf8));
    assertThat(e).as("the text is refused").isNotNull();
    return e.error();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a", " padded ", "naïve 湖 🛶", "\u0000", "\uFFFD", "\u00A0", "\uFEFFa"})
  void textsComeThroughUnchanged(String text) throws RowException {
    assertThat(Utf8Text.decode(text.getBytes(StandardCharsets.UTF_8))).isEqualTo(text);
  }

  @Test
  void nullAndEmptyDiffer() {
    assertThat(errorOf(null))
        .isEqualTo(new RowError("prepare", "null_text", "the text is null (expected: a text)"));
    assertThat(errorOf(new byte[0]))
        .isEqualTo(
            new RowError(
                "prepare", "empty_text", "the text is empty (expected: at least one character)"));
  }

  @Test
  void aTextThatNoTokenizerShouldSeeIsRefusedByItsLength() throws RowException {
    byte[] longest = new byte[Utf8Text.MAX_BYTES];
    java.util.Arrays.fill(longest, (byte) 'a');
    assertThat(Utf8Text.decode(longest)).hasSize(Utf8Text.MAX_BYTES);
    // Not even looked at: the bytes are no text.
    assertThat(errorOf(new byte[200_000_000]))
        .isEqualTo(
            new RowError(
                "prepare",
                "text_too_large",
                "200000000 bytes of text (expected: at most 4194304)"));
  }

  @ParameterizedTest
  @ValueSource(strings = {" ", "\t\r\n", "\u2003\u3000"})
  void onlyWhiteSpace(String text) {
    assertThat(errorOf(text.getBytes(StandardCharsets.UTF_8)))
        .isEqualTo(
            new RowError(
                "prepare",
                "blank_text",
                "the text is only white space (expected: at least one other character)"));
  }

  @ParameterizedTest
  @CsvSource({
    "61ff,        0xff, 1, 2", // no byte of UTF-8
    "80,          0x80, 0, 1", // a continuation without a start
    "6162e9,      0xe9, 2, 3", // Latin-1
    "61c3,        0xc3, 1, 2", // cut in the middle of a character
    "f09f9b,      0xf0, 0, 3",
    "c0af,        0xc0, 0, 2", // overlong '/'
    "e080af,      0xe0, 0, 3",
    "f08080af,    0xf0, 0, 4",
    "eda080,      0xed, 0, 3", // surrogates
    "61edbfbf,    0xed, 1, 4",
    "f4908080,    0xf4, 0, 4", // above U+10FFFF
  })
  void bytesThatAreNoUtf8(String hex, String bad, int offset, int length) {
    assertThat(errorOf(HexFormat.of().parseHex(hex)))
        .isEqualTo(
            new RowError(
                "prepare",
                "invalid_utf8",
                "byte "
                    + bad
                    + " at offset "
                    + offset
                    + " of "
                    + length
                    + " is not UTF-8 (expected: UTF-8 text)"));
  }
}
