package io.lakegen.task;

import java.util.function.DoubleConsumer;

/**
 * How far a call of {@link Task#infer} has come. A task whose calls take minutes tells it between
 * the model's steps, on the thread of the call; whoever made the call may listen.
 */
public final class Steps {
  private static final ThreadLocal<DoubleConsumer> LISTENER = new ThreadLocal<>();

  private Steps() {}

  /**
   * Tells.
   *
   * @param share of the call's work that is done, 0 to 1
   */
  public static void done(double share) {
    DoubleConsumer listener = LISTENER.get();
    if (listener != null) {
      listener.accept(share);
    }
  }

  /** From now on a listener hears what this thread tells, or nobody if it is null. */
  public static void listen(DoubleConsumer listener) {
    if (listener == null) {
      LISTENER.remove();
    } else {
      LISTENER.set(listener);
    }
  }
}
