package io.lakegen.model;

import java.util.List;
import java.util.Locale;

/**
 * Tells out of memory, of the device or of the host's native allocator, from other failures of an
 * engine.
 */
public final class OutOfMemory {
  /**
   * What libtorch, CUDA, cuBLAS, cuDNN, ONNX Runtime and the C++ allocator say; their Java
   * exceptions carry nothing but the message.
   */
  private static final List<String> PHRASES =
      List.of(
          "out of memory",
          "outofmemory",
          "failed to allocate memory",
          "can't allocate memory",
          "cannot allocate memory",
          "cublas_status_alloc_failed",
          "cudnn_status_alloc_failed",
          "bad_alloc",
          "bfcarena::allocaterawinternal");

  private OutOfMemory() {}

  /** True if the failure, or what caused it, says that memory ran out. */
  public static boolean isCauseOf(Throwable failure) {
    for (Throwable t = failure; t != null; t = t.getCause() == t ? null : t.getCause()) {
      if (t instanceof OutOfMemoryError) {
        return true;
      }
      String message = t.getMessage() == null ? "" : t.getMessage().toLowerCase(Locale.ROOT);
      if (PHRASES.stream().anyMatch(message::contains)) {
        return true;
      }
    }
    return false;
  }
}
