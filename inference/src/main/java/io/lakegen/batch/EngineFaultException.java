package io.lakegen.batch;

/** The model or its device failed, not a row: the Spark task must fail and be tried elsewhere. */
public final class EngineFaultException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  EngineFaultException(String message, Throwable cause) {
    super(message, cause);
  }
}
