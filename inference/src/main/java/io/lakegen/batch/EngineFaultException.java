package io.lakegen.batch;

/** The model or its device failed, not a row: the Spark task must fail and be tried elsewhere. */
public class EngineFaultException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final boolean ofDevice;

  EngineFaultException(String message, Throwable cause) {
    this(message, cause, false);
  }

  /** A fault of the device, or of something else. */
  EngineFaultException(String message, Throwable cause, boolean ofDevice) {
    super(message, cause);
    this.ofDevice = ofDevice;
  }

  /**
   * Whether the model on its device is broken or hangs, so that nothing should be tried on it any
   * more.
   */
  public final boolean isOfDevice() {
    return ofDevice;
  }
}
