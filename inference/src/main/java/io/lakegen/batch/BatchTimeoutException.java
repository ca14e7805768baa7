package io.lakegen.batch;

/** A batch has been in a device call for longer than it may. The call goes on: nothing stops it. */
public final class BatchTimeoutException extends EngineFaultException {
  private static final long serialVersionUID = 1L;

  BatchTimeoutException(String message) {
    super(message, null, true);
  }
}
