package io.lakegen.batch;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** A fixed number of daemon threads with a queue of their own. */
final class DaemonThreads extends ThreadPoolExecutor {
  private final int least;
  private final LinkedBlockingDeque<Runnable> waiting;
  private final CompletableFuture<Void> stopped = new CompletableFuture<>();

  DaemonThreads(int count, String name) {
    this(count, name, new LinkedBlockingDeque<>());
  }

  private DaemonThreads(int count, String name, LinkedBlockingDeque<Runnable> waiting) {
    super(count, count, 0, TimeUnit.SECONDS, waiting, named(name));
    this.least = count;
    this.waiting = waiting;
  }

  /** Makes daemon threads of one name. */
  static ThreadFactory named(String name) {
    return runnable -> {
      Thread thread = new Thread(runnable, name);
      thread.setDaemon(true);
      return thread;
    };
  }

  /** One thread more, which begins with this before all that waits. */
  synchronized void grow(Runnable first) {
    waiting.addFirst(first);
    setMaximumPoolSize(getMaximumPoolSize() + 1);
    setCorePoolSize(getCorePoolSize() + 1);
  }

  /** Takes one {@link #grow} back, as soon as a thread has nothing to do. */
  synchronized void shrink() {
    if (getCorePoolSize() > least) {
      setCorePoolSize(getCorePoolSize() - 1);
      setMaximumPoolSize(getMaximumPoolSize() - 1);
    }
  }

  /** Complete when the pool was shut down and no thread runs anything any more. */
  CompletableFuture<Void> stopped() {
    return stopped;
  }

  @Override
  protected void terminated() {
    stopped.complete(null);
  }
}
