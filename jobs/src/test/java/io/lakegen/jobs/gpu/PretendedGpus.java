package io.lakegen.jobs.gpu;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.engine.EngineProvider;
import ai.djl.ndarray.NDManager;
import ai.djl.onnxruntime.engine.OrtEngineProvider;

/**
 * ONNX Runtime that claims two GPUs and computes on the CPU. {@code test_gpus.py} puts it on the
 * class path of executors, in front of Lakegen's jar, as a provider of DJL's engines.
 */
public final class PretendedGpus implements EngineProvider {
  private static final int GPUS = 2;

  /** ONNX Runtime's own classes want the real engine, and ask for it while they are initialised. */
  private boolean initialising;

  @Override
  public String getEngineName() {
    return "OnnxRuntime";
  }

  @Override
  public int getEngineRank() {
    return new OrtEngineProvider().getEngineRank();
  }

  @Override
  public synchronized Engine getEngine() {
    Engine real = new OrtEngineProvider().getEngine();
    if (initialising) {
      return real;
    }
    initialising = true;
    real.newBaseManager(Device.cpu()).close();
    initialising = false;
    return new Engine() {
      @Override
      public int getGpuCount() {
        return GPUS;
      }

      @Override
      public Model newModel(String name, Device device) {
        if (!device.isGpu() || device.getDeviceId() >= GPUS) {
          throw new IllegalArgumentException(device + " (expected: a pretended GPU)");
        }
        return real.newModel(name, Device.cpu());
      }

      @Override
      public NDManager newBaseManager() {
        return real.newBaseManager(Device.cpu());
      }

      @Override
      public NDManager newBaseManager(Device device) {
        return newBaseManager();
      }

      @Override
      public Engine getAlternativeEngine() {
        return real.getAlternativeEngine();
      }

      @Override
      public String getEngineName() {
        return real.getEngineName();
      }

      @Override
      public int getRank() {
        return real.getRank();
      }

      @Override
      public String getVersion() {
        return real.getVersion();
      }

      @Override
      public boolean hasCapability(String capability) {
        return real.hasCapability(capability);
      }
    };
  }
}
