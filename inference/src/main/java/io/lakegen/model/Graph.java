package io.lakegen.model;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.training.ParameterStore;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * One traced graph of a pack on one device. Thread-safe: running it changes nothing but arrays that
 * the caller passes in.
 */
public final class Graph implements AutoCloseable {
  private final Model model;
  private final ai.djl.Device device;
  private final List<String> inputNames;

  /**
   * At shutdown models are closed while inference may still run: that must not meet freed memory.
   */
  private final ReadWriteLock use = new ReentrantReadWriteLock();

  private boolean closed;

  private Graph(Model model, ai.djl.Device device, List<String> inputNames) {
    this.model = model;
    this.device = device;
    this.inputNames = inputNames;
  }

  static Graph load(Path file, ai.djl.Device device, PackSpec.EngineName engine, int threads)
      throws IOException {
    Model model = Model.newInstance(file.getFileName().toString(), device, engine.name());
    try {
      Map<String, String> options =
          engine == PackSpec.EngineName.OnnxRuntime
              ? Map.of("intraOpNumThreads", Integer.toString(threads), "interOpNumThreads", "1")
              : Map.of("mapLocation", "true");
      model.load(file.getParent(), file.getFileName().toString(), options);
    } catch (MalformedModelException e) {
      model.close();
      throw new IOException(
          file + ": not a graph that " + engine + " can load: " + e.getMessage(), e);
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e;
    }
    return new Graph(
        model,
        device,
        engine == PackSpec.EngineName.OnnxRuntime
            ? model.getBlock().describeInput().keys()
            : List.of());
  }

  /**
   * Input names of an ONNX graph in its own order; empty for TorchScript, whose inputs go by
   * position.
   */
  public List<String> inputNames() {
    return inputNames;
  }

  /**
   * Runs the graph.
   *
   * @param inputs in the order of the pack format, or for ONNX graphs all named; not closed here
   * @return the outputs, owned by the manager of the first input
   * @throws ai.djl.engine.EngineException if the engine fails, out of memory included
   * @throws IllegalStateException if the graph was closed
   */
  public NDList run(NDList inputs) {
    use.readLock().lock();
    try {
      if (closed) {
        throw new IllegalStateException(
            "graph " + model.getName() + ": closed (expected: an open model)");
      }
      NDManager manager = inputs.head().getManager();
      return model.getBlock().forward(new ParameterStore(manager, false), inputs, false);
    } finally {
      use.readLock().unlock();
    }
  }

  /** {@link #run(NDList)} on arrays given one by one. */
  public NDList run(NDArray... inputs) {
    return run(new NDList(inputs));
  }

  /** The device that its inputs must be on. */
  ai.djl.Device device() {
    return device;
  }

  NDManager manager() {
    return model.getNDManager();
  }

  /** A new manager on the graph's device for the arrays of one call; the caller closes it. */
  public NDManager newManager() {
    return manager().newSubManager(device);
  }

  /** Waits for the runs that have begun. */
  @Override
  public void close() {
    use.writeLock().lock();
    try {
      closed = true;
      model.close();
    } finally {
      use.writeLock().unlock();
    }
  }
}
