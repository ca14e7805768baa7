package io.lakegen.model;

import ai.djl.Device;
import ai.djl.engine.Engine;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problem;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;

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
   * The device to load a model on: the first of the {@link #candidates}.
   *
   * @throws InvalidArgumentsException if {@code gpu} was asked for and the engine sees none
   */
  public static Device resolve(
      Choice choice, List<String> addresses, PackSpec.EngineName engine, int threads) {
    return candidates(choice, addresses, engine, threads).get(0);
  }

  /**
   * The devices that a task may use, the one to take first in front. The others are for where that
   * one turns out to be broken; a CPU never stands in for a GPU.
   *
   * @param choice the user's wish; {@code auto} takes a GPU when there is one
   * @param addresses GPU addresses that the cluster manager assigned to this task, empty when it
   *     assigns none and all are this executor's; several tasks with one address share a model
   * @param engine whose view of the machine counts
   * @param threads as in {@link LoadedModel#load}: asking an engine starts it
   * @throws InvalidArgumentsException if {@code gpu} was asked for and the engine sees none
   */
  public static List<Device> candidates(
      Choice choice, List<String> addresses, PackSpec.EngineName engine, int threads) {
    if (choice == Choice.cpu) {
      return List.of(Device.cpu());
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
      return List.of(Device.cpu());
    }
    return gpus(addresses, gpus, visibleGpus());
  }

  /**
   * The GPUs of a task.
   *
   * @param visible how many the engine sees, at least 1
   * @param names what {@code CUDA_VISIBLE_DEVICES} calls them, in the order in which CUDA counts
   *     them; empty where it says nothing
   */
  static List<Device> gpus(List<String> addresses, int visible, List<String> names) {
    if (addresses.isEmpty()) {
      return IntStream.range(0, visible).mapToObj(Device::gpu).toList();
    }
    // An address names a GPU of the machine, by number or UUID, but the engine counts the visible
    // ones. Where a container hides the others without a word, they are the task's in their order.
    return IntStream.range(0, addresses.size())
        .map(i -> index(addresses.get(i), visible, names).orElse(i % visible))
        .distinct()
        .mapToObj(Device::gpu)
        .toList();
  }

  private static OptionalInt index(String address, int visible, List<String> names) {
    int named = names.indexOf(address);
    if (named >= 0 && named < visible) {
      return OptionalInt.of(named);
    }
    if (!names.isEmpty() || !address.matches("\\d{1,9}")) {
      return OptionalInt.empty();
    }
    int index = Integer.parseInt(address);
    return index < visible ? OptionalInt.of(index) : OptionalInt.empty();
  }

  private static List<String> visibleGpus() {
    String names = System.getenv("CUDA_VISIBLE_DEVICES");
    return names == null || names.isBlank() ? List.of() : List.of(names.strip().split("\\s*,\\s*"));
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
