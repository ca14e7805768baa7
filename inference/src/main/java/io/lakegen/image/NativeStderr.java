package io.lakegen.image;

import java.util.function.Supplier;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.leptonica.global.leptonica;

/**
 * Takes C's {@code stderr} away from libjpeg, which writes a line there for every damaged picture,
 * and through Leptonica cannot be told not to. What is wrong stands in the row's error. The stream
 * is a variable of the C library that libraries read when they write; Java and the JVM write to the
 * file descriptor and are not concerned. Thread-safe.
 */
final class NativeStderr {
  private static final PointerPointer<Pointer> VARIABLE =
      new PointerPointer<>(Loader.addressof("stderr"));
  private static final Pointer OWN = VARIABLE.isNull() ? null : VARIABLE.get(0);
  private static final Pointer NOWHERE = leptonica.lept_fopen("/dev/null", "w");
  private static int silent;

  private NativeStderr() {}

  /** Runs something of which nothing is written. */
  static <T> T silently(Supplier<T> call) {
    change(1);
    try {
      return call.get();
    } finally {
      change(-1);
    }
  }

  private static synchronized void change(int by) {
    silent += by;
    if (OWN != null && NOWHERE != null) {
      VARIABLE.put(0, silent > 0 ? NOWHERE : OWN);
    }
  }
}
