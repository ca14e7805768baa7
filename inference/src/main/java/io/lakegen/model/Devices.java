package io.lakegen.model;

import ai.djl.Device;
import ai.djl.engine.Engine;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problem;
import java.util.List;

/**
 * Chooses the device of a task from what the user asked for and what the cluster manager assigned.
 */
public final class Devices {
  private Devices() {}

  /** What the user asked for on the command line. */
  public enum Choice {
    auto,
    cpu,
    gpu
  }

  /**
   * The device to load a model on.
   *
   * @param choice the user's wish; {@code auto} takes a GPU when there is one
   * @param addresses GPU addresses that the cluster manager assigned to this task, empty when it
   *     assigns none; several tasks with one address share a model
   * @param engine whose view of the machine counts
   * @param threads as in {@link LoadedModel#load}: asking an engine starts it
   * @throws InvalidArgumentsException if {@code gpu} was asked for and the engine sees none
   */
  public static Device resolve(
      Choice choice, List<String> addresses, PackSpec.EngineName engine, int threads) {
    if (choice == Choice.cpu) {
      return Device.cpu();
    }
    configureEngines(threads);
    int gpus = Engine.getEngine(engine.name()).getGpuCount();
    if (gpus == 0) {
      if (choice == Choice.gpu) {
        throw new InvalidArgumentsException(
            List.of(
                new Problem(
                    "device",
                    "gpu",
                    "a GPU that "
                        + engine
                        + " can see; found none. Use --device cpu, or put the CUDA build of the"
                        + " engine's native library on the class path")));
      }
      return Device.cpu();
    }
    int index = addresses.isEmpty() ? 0 : Integer.parseInt(addresses.get(0));
    // Where the cluster manager isolates executors (CUDA_VISIBLE_DEVICES, cgroups), the address
    // counts the machine's GPUs but the engine counts the visible ones.
    return Device.gpu(index < gpus ? index : 0);
  }

  /** Settings that an engine reads once, when the JVM first asks for it. */
  static void configureEngines(int threads) {
    setIfAbsent("ai.djl.offline", "true");
    setIfAbsent("ai.djl.pytorch.num_threads", Integer.toString(threads));
    setIfAbsent("ai.djl.pytorch.num_interop_threads", "1");
    // The graph optimiser compiles anew for every input shape: the first calls at each would take
    // seconds.
    setIfAbsent("ai.djl.pytorch.graph_optimizer", "false");
  }

  private static void setIfAbsent(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }
}
