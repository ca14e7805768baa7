package io.lakegen.batch;

import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * One thread, with a queue of its own, that others have used before where one is free: libtorch
 * plans every shape of cuDNN's convolutions once for each thread, and OpenMP starts its workers for
 * each.
 */
final class InferenceThread {
  private static final ExecutorService THREADS =
      new ThreadPoolExecutor(
          0,
          Integer.MAX_VALUE,
          1,
          TimeUnit.MINUTES,
          new SynchronousQueue<>(),
          DaemonThreads.named("lakegen-infer"));

  private static final FutureTask<Void> END = new FutureTask<>(() -> null);

  private final LinkedBlockingQueue<FutureTask<?>> waiting = new LinkedBlockingQueue<>();
  private final CompletableFuture<Void> stopped = new CompletableFuture<>();

  /** Null before the first task, and when the thread is another's. Guarded by this, as the rest. */
  private Thread thread;

  private boolean started;
  private boolean closed;

  /**
   * Runs a task after those before it; never, after {@link #shutdown}: then its future has no end.
   */
  synchronized <T> Future<T> submit(Callable<T> callable) {
    FutureTask<T> task = new FutureTask<>(callable);
    if (!closed) {
      waiting.add(task);
      if (!started) {
        started = true;
        THREADS.execute(this::work);
      }
    }
    return task;
  }

  private void work() {
    begin();
    // After a shutdown before the first task, END is all that there is.
    for (FutureTask<?> next = next(); next != END; next = next()) {
      next.run();
    }
    end();
    stopped.complete(null);
  }

  private FutureTask<?> next() {
    while (true) {
      try {
        return waiting.take();
      } catch (InterruptedException e) {
        // It was meant for the task that has ended; a shutdown has put END here, too.
      }
    }
  }

  private synchronized void begin() {
    thread = Thread.currentThread();
  }

  private synchronized void end() {
    thread = null;
    // The next one who has this thread was not interrupted.
    Thread.interrupted();
  }

  /** Interrupts the task that runs, and begins none any more. */
  synchronized void shutdown() {
    closed = true;
    waiting.clear();
    waiting.add(END);
    if (thread != null) {
      thread.interrupt();
    } else if (!started) {
      stopped.complete(null);
    }
  }

  /** Complete when the thread was shut down and runs nothing any more. */
  CompletableFuture<Void> stopped() {
    return stopped;
  }
}
