package io.lakegen.spark;

import com.codahale.metrics.Gauge;
import com.codahale.metrics.MetricRegistry;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkContext;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;
import org.apache.spark.resource.ResourceInformation;
import org.apache.spark.util.Utils;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Publishes what the models do to Spark's metrics: each executor's own {@link ExecutorMetrics} in
 * the executor's registry, their sums over all executors in the driver's, whose Prometheus endpoint
 * is the one that can be reached on every cluster. Loads the pack of {@link #PRELOAD} on an
 * executor as it starts, and closes its models when it ends.
 */
public final class LakegenPlugin implements SparkPlugin {
  /**
   * Setting: folder of a pack that every executor loads at its start, beside the tasks that come
   * meanwhile. What goes wrong then is only logged. Jobs set it themselves on clusters.
   */
  public static final String PRELOAD = "spark.lakegen.preload";

  /** Setting: the device to load it on, {@code auto}, {@code cpu} or {@code gpu}. */
  public static final String PRELOAD_DEVICE = PRELOAD + ".device";

  private static final Logger LOG = LoggerFactory.getLogger(LakegenPlugin.class);
  private static final int REPORT_SECONDS = 2;

  @Override
  public DriverPlugin driverPlugin() {
    return new OnDriver();
  }

  @Override
  public ExecutorPlugin executorPlugin() {
    return new OnExecutor();
  }

  private static void register(MetricRegistry registry, String name, Gauge<Long> gauge) {
    registry.register(name, gauge);
  }

  private static final class OnDriver implements DriverPlugin {
    /**
     * What each executor reported last; one that is lost stays in the sums, as its work was done.
     */
    private final Map<String, ExecutorMetrics> executors = new ConcurrentHashMap<>();

    private SparkContext context;

    @Override
    public Map<String, String> init(SparkContext spark, PluginContext plugin) {
      context = spark;
      return Map.of();
    }

    @Override
    public void registerMetrics(String application, PluginContext plugin) {
      for (String name : ExecutorMetrics.names()) {
        register(
            plugin.metricRegistry(),
            "total." + name,
            () -> executors.values().stream().mapToLong(m -> m.value(name)).sum());
      }
    }

    @Override
    public Object receive(Object message) {
      if (message instanceof Preload.Request) {
        // Spark reads answers by a class loader that does not know the application's jar.
        return Utils.serialize(Preload.of(context));
      }
      ExecutorMetrics metrics = (ExecutorMetrics) message;
      executors.put(metrics.executor(), metrics);
      return null;
    }
  }

  private static final class OnExecutor implements ExecutorPlugin {
    private final ScheduledExecutorService reports =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "lakegen-metrics");
              thread.setDaemon(true);
              return thread;
            });
    private PluginContext plugin;
    private Thread preload;

    @Override
    public void init(PluginContext context, Map<String, String> extra) {
      plugin = context;
      for (String name : ExecutorMetrics.names()) {
        register(context.metricRegistry(), name, () -> ExecutorMetrics.now(executor()).value(name));
      }
      ScheduledFuture<?> unused =
          reports.scheduleWithFixedDelay(
              this::report, REPORT_SECONDS, REPORT_SECONDS, TimeUnit.SECONDS);
      if (context.conf().contains(PRELOAD)) {
        LOG.info("preloading {}", context.conf().get(PRELOAD));
        // Spark waits for this method before it gives the executor tasks.
        preload = new Thread(this::preload, "lakegen-preload");
        preload.setDaemon(true);
        preload.start();
      }
    }

    private void preload() {
      try {
        ResourceInformation gpus = plugin.resources().get("gpu");
        byte[] answer = (byte[]) plugin.ask(new Preload.Request());
        Preload preload = Utils.deserialize(answer, Preload.class.getClassLoader());
        preload.load(ExecutorModels.pool(), gpus == null ? List.of() : List.of(gpus.addresses()));
      } catch (Exception | LinkageError e) {
        LOG.warn("{} was not preloaded; tasks will try again", plugin.conf().get(PRELOAD), e);
      }
    }

    private String executor() {
      return plugin.executorID();
    }

    private void report() {
      try {
        plugin.send(ExecutorMetrics.now(executor()));
      } catch (IOException | RuntimeException e) {
        // An exception would end the reports; a driver that is gone ends this executor anyway.
        LOG.debug("the driver took no metrics", e);
      }
    }

    @Override
    public void shutdown() {
      reports.shutdownNow();
      if (preload != null) {
        preload.interrupt();
      }
      ExecutorModels.close();
    }
  }
}
