package io.lakegen.decode;

/** The model gave logits that are no numbers. */
final class LogitsException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private LogitsException() {
    super("logits: NaN (expected: numbers; the model overflowed or its weights are damaged)");
  }

  static void check(float logProbability) {
    if (Float.isNaN(logProbability)) {
      throw new LogitsException();
    }
  }
}
