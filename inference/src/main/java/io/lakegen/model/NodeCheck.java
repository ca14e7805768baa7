package io.lakegen.model;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.lakegen.image.ImageDecoder;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problems;
import io.lakegen.task.RowException;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.apache.hadoop.conf.Configuration;

/**
 * Tries what a job needs of the machine that this JVM runs on: native libraries, devices, the
 * folder of packs, a pack. Each part adds what it finds and goes on.
 */
public final class NodeCheck {
  /** Extensions that change what a CPU can do for a model. */
  private static final List<String> CPU_FLAGS =
      List.of("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16");

  private static final int PROBE_BYTES = 1 << 16;

  private final Devices.Choice choice;
  private final List<String> gpuAddresses;
  private final int threads;
  private final List<String> facts = new ArrayList<>();
  private final Problems problems = new Problems();

  /**
   * A check that is not made yet.
   *
   * @param choice what jobs will be told by {@code --device}
   * @param gpuAddresses GPUs that the cluster manager assigned to the caller's task
   * @param threads as in {@link LoadedModel#load}
   */
  public NodeCheck(Devices.Choice choice, List<String> gpuAddresses, int threads) {
    this.choice = choice;
    this.gpuAddresses = List.copyOf(gpuAddresses);
    this.threads = threads;
  }

  /**
   * Makes the check. A library that does not load is a problem, not an exception.
   *
   * @param modelUri a pack to fetch, load and prove, or null
   * @param pool keeps the pack's model, so that several checks at once load it once
   */
  public NodeReport run(String modelUri, Configuration conf, ModelPool<LoadedModel> pool) {
    Devices.configureEngines(threads);
    java();
    cpu();
    List<String> driverGpus = gpus();
    for (PackSpec.EngineName engine : PackSpec.EngineName.values()) {
      engine(engine, driverGpus);
    }
    library("tokenizers", "libtokenizers", "", LibUtils::checkStatus);
    library("image decoders", "leptonica", "", NodeCheck::decodeAnImage);
    PackStore store = PackStore.ofNode();
    cache(store);
    if (modelUri != null) {
      model(modelUri, conf, store, pool);
    }
    return new NodeReport(facts, problems.list());
  }

  private void fact(String name, String value) {
    facts.add(String.format("%-15s %s", name, value));
  }

  private void java() {
    fact(
        "Java",
        Runtime.version()
            + ", heap of "
            + amount(Runtime.getRuntime().maxMemory())
            + " at most, "
            + System.getProperty("java.home"));
  }

  private void cpu() {
    Set<String> flags =
        lines(Path.of("/proc/cpuinfo"))
            .filter(l -> l.startsWith("flags"))
            .findFirst()
            .map(l -> Set.of(l.substring(l.indexOf(':') + 1).strip().split("\\s+")))
            .orElse(Set.of());
    fact(
        "CPU",
        Runtime.getRuntime().availableProcessors()
            + " cores, "
            + CPU_FLAGS.stream().filter(flags::contains).collect(Collectors.joining(" "))
            + ", "
            + threads
            + (threads == 1 ? " thread" : " threads")
            + " a task");
  }

  /** GPUs that the NVIDIA driver lists. */
  private List<String> gpus() {
    List<String> gpus = List.of();
    try {
      Process process = new ProcessBuilder("nvidia-smi", "-L").redirectErrorStream(true).start();
      String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() == 0) {
        gpus = printed.lines().map(String::strip).filter(l -> !l.isEmpty()).toList();
      } else {
        problems.add(
            "GPUs",
            "nvidia-smi: " + printed.strip(),
            "a driver that answers; install one that fits the kernel, or run jobs with --device"
                + " cpu");
      }
    } catch (IOException e) {
      // No nvidia-smi, as on every machine without GPUs.
      gpus = List.of();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    fact("GPUs", gpus.isEmpty() ? "the driver lists none" : String.join("; ", gpus));
    if (!gpuAddresses.isEmpty()) {
      fact("assigned GPUs", String.join(", ", gpuAddresses));
    }
    return gpus;
  }

  private void engine(PackSpec.EngineName name, List<String> driverGpus) {
    boolean torch = name == PackSpec.EngineName.PyTorch;
    // ONNX Runtime's engine in DJL makes arrays by PyTorch's.
    String settings =
        Stream.of("PYTORCH_LIBRARY_PATH", "PYTORCH_VERSION", "PYTORCH_FLAVOR")
            .filter(v -> System.getenv(v) != null)
            .map(v -> v + "=" + System.getenv(v))
            .collect(Collectors.joining(" "));
    boolean loaded =
        library(name.name(), torch ? "torch" : "onnxruntime", settings, () -> compute(name));
    String wanted = torch ? System.getenv("PYTORCH_LIBRARY_PATH") : null;
    if (loaded && wanted != null && !places("torch").contains(real(wanted))) {
      // DJL takes the jar's without a word.
      problems.add(
          name.name(),
          "loaded from " + String.join(", ", places("torch")) + ", not from " + wanted,
          "a folder with libtorch.so in PYTORCH_LIBRARY_PATH; see ./lakegen gpu-libs, or unset it");
    }
    if (!loaded || choice == Devices.Choice.cpu) {
      return;
    }
    try {
      List<Device> devices = Devices.candidates(choice, gpuAddresses, name, threads);
      fact("  devices", devices.stream().map(Device::toString).collect(Collectors.joining(" ")));
      if (!devices.get(0).isGpu() && !driverGpus.isEmpty()) {
        problems.add(
            name + " devices",
            driverGpus.size() + " GPUs that it cannot use",
            torch
                ? "CUDA's libtorch: ./lakegen gpu-libs DIR installs it and says which variables to"
                    + " set; or --device cpu"
                : "ONNX Runtime's CUDA build on the class path, or --device cpu");
      }
    } catch (InvalidArgumentsException e) {
      e.problems().forEach(p -> problems.add(name + " " + p.key(), p.found(), p.expected()));
    }
  }

  /** A tensor in and out of the engine: loads its libraries for real. */
  private static void compute(PackSpec.EngineName name) {
    Engine engine = Engine.getEngine(name.name());
    try (NDManager manager = engine.newBaseManager(Device.cpu());
        NDArray three = manager.create(new float[] {1, 2})) {
      float[] values = three.toFloatArray();
      if (name == PackSpec.EngineName.PyTorch) {
        try (NDArray sum = three.sum()) {
          values = new float[] {sum.getFloat(), 2};
        }
      } else {
        // ONNX Runtime computes by graphs only; it gives the tensor back.
        values[0] += values[1];
      }
      if (values[0] != 3 || values[1] != 2) {
        throw new IllegalStateException("1 + 2 = " + values[0]);
      }
    }
  }

  private static void decodeAnImage() throws IOException {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    ImageIO.write(new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB), "jpg", file);
    try {
      ImageDecoder.decode(file.toByteArray(), 8, 8);
    } catch (RowException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  private interface Trial {
    void run() throws IOException;
  }

  /**
   * Tries a native library.
   *
   * @param word what the names of its files have in common
   * @param settings variables that say where it comes from, empty for the jar's own
   */
  private boolean library(String name, String word, String settings, Trial trial) {
    try {
      trial.run();
    } catch (IOException | RuntimeException | LinkageError e) {
      Throwable cause = e;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      problems.add(
          name,
          "its native library does not load: "
              + cause.getClass().getSimpleName()
              + ": "
              + cause.getMessage()
              + (settings.isEmpty() ? "" : " (" + settings + ")"),
          settings.isEmpty() && word.matches("torch|onnxruntime") && lacksTorch()
              ? "CUDA's libtorch, since this jar was built without the CPU's: ./lakegen gpu-libs DIR"
                  + " installs it and says which three variables to set"
              : settings.isEmpty()
                  ? "the libraries of lakegen-jobs.jar on Linux x86_64, and room for them in "
                      + System.getProperty("java.io.tmpdir")
                      + " and in DJL's folder; DJL_CACHE_DIR moves the latter"
                  : "the libraries of PyTorch 2.7.1 in PYTORCH_LIBRARY_PATH, with PYTORCH_VERSION=2.7.1"
                      + " and PYTORCH_FLAVOR=cu128; without the three, the CPU's come from the jar");
      return false;
    }
    String version =
        switch (name) {
          case "PyTorch", "OnnxRuntime" -> Engine.getEngine(name).getVersion() + ", ";
          default -> "";
        };
    fact(
        name,
        version
            + "loaded from "
            + String.join(", ", places(word))
            + (settings.isEmpty() ? "" : "; " + settings));
    return true;
  }

  /** Whether the jar is one of the profile gpu. */
  private static boolean lacksTorch() {
    return NodeCheck.class.getResource("/native/lib/pytorch.properties") == null;
  }

  /** Folders of the libraries that this process has mapped. */
  private static Set<String> places(String word) {
    Set<String> folders = new TreeSet<>();
    lines(Path.of("/proc/self/maps"))
        .filter(l -> l.contains("/") && l.contains(".so"))
        .map(l -> Path.of(l.substring(l.indexOf('/'))))
        .filter(f -> f.getFileName().toString().contains(word))
        .forEach(f -> folders.add(f.getParent().toString()));
    return folders;
  }

  private static String real(String folder) {
    try {
      return Path.of(folder).toRealPath().toString();
    } catch (IOException e) {
      return folder;
    }
  }

  private void cache(PackStore store) {
    Path folder = store.root();
    try {
      store.prepareRoot();
      Path probe = Files.createTempFile(folder, ".probe", null);
      try {
        Files.write(probe, new byte[PROBE_BYTES]);
      } finally {
        Files.delete(probe);
      }
      FileStore disk = Files.getFileStore(folder);
      fact(
          "pack cache",
          folder
              + ", writable, "
              + amount(disk.getUsableSpace())
              + " free of "
              + amount(disk.getTotalSpace()));
    } catch (IOException e) {
      problems.add(
          "pack cache",
          folder + ": " + e.getClass().getSimpleName() + ": " + e.getMessage(),
          "a folder that can be written and has room; make some, or set LAKEGEN_CACHE to another"
              + " folder");
    }
  }

  private void model(String uri, Configuration conf, PackStore store, ModelPool<LoadedModel> pool) {
    try {
      PackStore.Need need = store.need(uri, conf);
      fact(
          "model",
          uri + ", " + amount(need.bytes()) + (need.present() ? ", fetched before" : " to fetch"));
      long free =
          need.present()
              ? need.bytes()
              : Files.getFileStore(existing(store.root())).getUsableSpace();
      if (free < need.bytes()) {
        problems.add(
            "model " + uri,
            amount(need.bytes()) + ", but " + store.root() + " has " + amount(free) + " free",
            "room for the pack; make some, or set LAKEGEN_CACHE to a folder on a larger disk");
        return;
      }
      ModelPack pack = store.fetch(uri, conf);
      Device device = Devices.resolve(choice, gpuAddresses, pack.spec().engine(), threads);
      long start = System.nanoTime();
      pool.lease(
              new ModelPool.Key(pack.sha256(), device),
              () -> LoadedModel.load(pack, device, threads))
          .close();
      fact(
          "  ",
          String.format(
              "answers its golden inputs on %s, loaded in %.1f s",
              device, (System.nanoTime() - start) / 1e9));
    } catch (InvalidPackException e) {
      problems.addAll("model " + uri, e.problems());
    } catch (InvalidArgumentsException e) {
      problems.addAll("model " + uri, e.problems());
    } catch (IOException | RuntimeException | LinkageError e) {
      problems.add(
          "model " + uri,
          e.getClass().getSimpleName() + ": " + e.getMessage(),
          "a pack that can be read and loaded");
    }
  }

  private static Path existing(Path folder) {
    Path found = folder;
    while (!Files.exists(found)) {
      found = found.getParent();
    }
    return found;
  }

  private static Stream<String> lines(Path file) {
    try {
      return Files.readAllLines(file).stream();
    } catch (IOException e) {
      return Stream.of();
    }
  }

  private static String amount(long bytes) {
    return bytes < 1_000_000_000
        ? String.format("%.1f MB", bytes / 1e6)
        : String.format("%.1f GB", bytes / 1e9);
  }
}
