package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.model.Devices;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.ModelPool;
import io.lakegen.model.PackStore;
import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import java.util.Locale;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.util.SerializableConfiguration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A pack that executors load when they start, so that their first tasks find it in the pool. All
 * but the devices comes from the driver, as tasks have it from there: only then is it the model
 * that they ask for.
 *
 * @param uri folder of the pack
 * @param device the user's wish
 * @param threads as in {@link LoadedModel#load}
 * @param conf how to reach the pack's file system
 */
record Preload(String uri, Devices.Choice device, int threads, SerializableConfiguration conf)
    implements Serializable {
  private static final Logger LOG = LoggerFactory.getLogger(Preload.class);

  /** What an executor asks the driver. */
  record Request() implements Serializable {}

  /** What the settings ask for, which must have {@link LakegenPlugin#PRELOAD}. */
  static Preload of(SparkContext context) {
    SparkConf conf = context.getConf();
    return new Preload(
        conf.get(LakegenPlugin.PRELOAD),
        Devices.Choice.valueOf(
            conf.get(LakegenPlugin.PRELOAD_DEVICE, Devices.Choice.auto.name())
                .toLowerCase(Locale.ROOT)),
        Cluster.threadsPerTask(context),
        new SerializableConfiguration(context.hadoopConfiguration()));
  }

  /**
   * Leaves the model in a pool, loaded on every device that tasks will begin with. A model that
   * fails is not fenced: the first task tries it again, and its failure is the job's.
   *
   * @param gpuAddresses all that the executor has, empty where the cluster manager assigns none
   */
  void load(ModelPool<LoadedModel> pool, List<String> gpuAddresses) throws IOException {
    ModelPack pack = PackStore.ofNode().fetch(uri, conf.value());
    List<Device> devices = Devices.candidates(device, gpuAddresses, pack.spec().engine(), threads);
    // Tasks that are assigned no GPU all begin with the first.
    for (Device each : gpuAddresses.isEmpty() ? devices.subList(0, 1) : devices) {
      pool.lease(
              new ModelPool.Key(pack.sha256(), each), () -> LoadedModel.load(pack, each, threads))
          .close();
      LOG.info("preloaded {} on {}", uri, each);
    }
  }
}
