package io.lakegen.spark;

import io.lakegen.model.Devices;
import io.lakegen.model.PackInfo;
import io.lakegen.model.PackStore;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.util.SerializableConfiguration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads a job's model while Spark starts, where driver and executor are one JVM: its golden check
 * then costs no time of its own. What goes wrong is left to the job's checks and tasks, which say
 * it properly.
 */
public final class LocalPreload {
  private static final Logger LOG = LoggerFactory.getLogger(LocalPreload.class);

  private final Thread thread;

  private LocalPreload(Thread thread) {
    this.thread = thread;
  }

  /**
   * Starts to load.
   *
   * @param threads of one task: what {@link Cluster#threadsPerTask} will say
   */
  public static LocalPreload start(
      TaskDefinition task, String uri, Devices.Choice device, int threads) {
    Thread thread = new Thread(() -> load(task, uri, device, threads), "lakegen-preload");
    thread.setDaemon(true);
    thread.start();
    return new LocalPreload(thread);
  }

  private static void load(TaskDefinition task, String uri, Devices.Choice device, int threads) {
    try {
      Configuration conf = new Configuration();
      String scheme = new Path(uri).toUri().getScheme();
      if (scheme != null && !scheme.equals("file")) {
        // Spark's settings say how other file systems are reached, and Spark is not there yet.
        return;
      }
      PackInfo info = PackStore.info(uri, conf);
      if (task.data().packTasks().stream().anyMatch(info.spec().tasks()::contains)) {
        new Preload(uri, device, threads, new SerializableConfiguration(conf))
            .load(ExecutorModels.pool(), List.of());
      }
    } catch (IOException | RuntimeException | LinkageError e) {
      LOG.debug("{} was not loaded ahead", uri, e);
    }
  }

  /** Waits for its end, so that the pool can be closed. */
  public void join() throws InterruptedException {
    thread.join();
  }
}
