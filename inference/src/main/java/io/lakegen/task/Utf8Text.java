package io.lakegen.task;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/** Turns the bytes of a text column into a string, or says why they are no text. */
public final class Utf8Text {
  /**
   * Longest text that is read, in bytes: more than any model's context. Tokenizers take some 350
   * times as much memory, so that a longer one could bring an executor down.
   */
  public static final int MAX_BYTES = 4 << 20;

  private Utf8Text() {}

  /**
   * Rejects a text by its length alone, so that it need not be copied.
   *
   * @throws RowException of type {@code text_too_large}
   */
  public static void checkBytes(long length) throws RowException {
    if (length > MAX_BYTES) {
      throw RowException.prepare(
          "text_too_large", length + " bytes of text (expected: at most " + MAX_BYTES + ")");
    }
  }

  /**
   * Decodes strictly: a replacement character would silently change what the model reads.
   *
   * @param utf8 may be null
   * @throws RowException of type {@code null_text}, {@code invalid_utf8}, {@code empty_text},
   *     {@code blank_text} or {@code text_too_large}
   */
  public static String decode(byte[] utf8) throws RowException {
    if (utf8 == null) {
      throw RowException.prepare("null_text", "the text is null (expected: a text)");
    }
    if (utf8.length == 0) {
      throw RowException.prepare(
          "empty_text", "the text is empty (expected: at least one character)");
    }
    checkBytes(utf8.length);
    CharsetDecoder decoder =
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    ByteBuffer in = ByteBuffer.wrap(utf8);
    CharBuffer out = CharBuffer.allocate(utf8.length);
    CoderResult result = decoder.decode(in, out, true);
    if (result.isError()) {
      throw RowException.prepare(
          "invalid_utf8",
          String.format(
              "byte 0x%02x at offset %d of %d is not UTF-8 (expected: UTF-8 text)",
              utf8[in.position()], in.position(), utf8.length));
    }
    String text = out.flip().toString();
    if (text.isBlank()) {
      throw RowException.prepare(
          "blank_text", "the text is only white space (expected: at least one other character)");
    }
    return text;
  }
}
