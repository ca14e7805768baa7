package io.lakegen.model;

/**
 * A model is asked for on a device that has failed its golden check in this JVM, or that hangs.
 * Asking again in this JVM fails again; another device or executor may do.
 */
public final class DeviceFencedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  DeviceFencedException(ModelPool.Key key, String reason) {
    super(
        "device "
            + key.device()
            + ": fenced in this executor for model pack "
            + key.packSha256()
            + ": "
            + reason
            + " (expected: a sound device; on a cluster Spark tries the rows on another executor)");
  }
}
