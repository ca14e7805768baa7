package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.ChildJvm;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoadedModelTest {
  @TempDir static Path temp;

  private static LoadedModel load(String cache) throws IOException {
    ModelPack pack =
        new PackStore(Path.of(cache))
            .fetch(TestPacks.fixture("gpt2").toString(), new Configuration());
    return LoadedModel.load(pack, Device.cpu(), 1);
  }

  private static float[] run(LoadedModel model, int rows) {
    PackSpec.Cache cache = model.pack().spec().cache().orElseThrow();
    try (NDManager manager = model.newManager()) {
      NDArray ids = manager.ones(new Shape(rows, 1), ai.djl.ndarray.types.DataType.INT64);
      NDArray slots = manager.zeros(new Shape(rows, 1), ai.djl.ndarray.types.DataType.INT64);
      NDArray last = manager.zeros(new Shape(rows), ai.djl.ndarray.types.DataType.INT64);
      NDArray buffer =
          manager.zeros(new Shape(cache.layers(), 2, rows, cache.heads(), 32, cache.headDim()));
      NDArray keys = manager.zeros(new Shape(cache.layers(), cache.heads(), 0, cache.headDim()));
      NDArray values = manager.zeros(new Shape(cache.layers(), cache.heads(), cache.headDim(), 0));
      return model
          .graph("decoder")
          .run(ids, slots, last, buffer, keys, values, last)
          .head()
          .toFloatArray();
    }
  }

  /** Seen on an H200: CUDA's resize takes no bytes. */
  @Test
  void picturesAreResizedOnTheCpuWhereverTheModelIs() {
    assertThat(LoadedModel.deviceOf("encoder", Device.gpu(1))).isEqualTo(Device.gpu(1));
    assertThat(LoadedModel.deviceOf("preprocess", Device.gpu(1))).isEqualTo(Device.cpu());
  }

  @Test
  void namesWhatThePackDoesNotHave() throws IOException {
    try (LoadedModel model = load(temp.toString())) {
      assertThat(model.hasGraph("decoder")).isTrue();
      assertThat(model.hasGraph("unet")).isFalse();
      assertThatThrownBy(() -> model.graph("unet"))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("graph: unet (expected: one of [decoder])");
    }
  }

  @Test
  void sharedObjectsAreMadeOnceAndAFailedOneAgain() throws IOException {
    try (LoadedModel model = load(temp.toString())) {
      assertThatThrownBy(
              () ->
                  model.shared(
                      "key",
                      String.class,
                      () -> {
                        throw new IllegalStateException("not yet");
                      }))
          .hasMessage("not yet");
      assertThat(model.shared("key", String.class, () -> "first")).isEqualTo("first");
      assertThat(model.shared("key", String.class, () -> "second")).isEqualTo("first");
    }
  }

  @Test
  void aFileThatIsNoGraphIsNamed() throws IOException {
    Path source = TestPacks.withoutModel(temp.resolve("no-model"));
    ModelPack pack =
        new PackStore(temp.resolve("cache")).fetch(source.toString(), new Configuration());
    assertThatThrownBy(() -> LoadedModel.load(pack, Device.cpu(), 1))
        .hasMessageContaining("PytorchStreamReader");
    assertThat(Files.exists(pack.file("model.pt"))).isTrue();
  }

  /** Same length, same time of modification: what a backup or an attacker would leave. */
  @Test
  void aFileThatWasSwappedInTheCacheAfterItsChecksumIsNotLoaded() throws IOException {
    ModelPack pack =
        new PackStore(temp.resolve("swapped"))
            .fetch(TestPacks.fixture("gpt2").toString(), new Configuration());
    Path graph = pack.file("decoder.pt");
    Path other = temp.resolve("other.pt");
    byte[] content = Files.readAllBytes(graph);
    content[content.length / 2] ^= 1;
    Files.write(other, content);
    Files.setLastModifiedTime(other, Files.getLastModifiedTime(graph));
    Files.move(other, graph, java.nio.file.StandardCopyOption.REPLACE_EXISTING);

    assertThatThrownBy(() -> LoadedModel.load(pack, Device.cpu(), 1))
        .isInstanceOf(IOException.class)
        .hasMessage(
            graph
                + ": changed since its digest was checked (expected: a cache that only Lakegen"
                + " writes to)");
    Files.delete(graph);
    assertThatThrownBy(() -> LoadedModel.load(pack, Device.cpu(), 1))
        .hasMessageStartingWith(graph + ": changed since its digest was checked");
    // Fetching repairs it.
    load(temp.resolve("swapped").toString()).close();
  }

  @Test
  void aClosedGraphSaysSo() throws IOException {
    LoadedModel model = load(temp.toString());
    Graph graph = model.graph("decoder");
    try (NDManager manager = NDManager.newBaseManager(Device.cpu(), "PyTorch")) {
      NDArray ids = manager.ones(new Shape(1, 1), ai.djl.ndarray.types.DataType.INT64);
      model.close();
      assertThatThrownBy(() -> graph.run(ids))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("graph decoder.pt: closed (expected: an open model)");
    }
  }

  /** Infers without end on daemon threads, as an executor does that is told to go. */
  static final class BusyExecutor {
    private BusyExecutor() {}

    public static void main(String[] args) throws Exception {
      LoadedModel model = load(args[0]);
      CountDownLatch busy = new CountDownLatch(2);
      for (int i = 0; i < 2; i++) {
        Thread thread =
            new Thread(
                () -> {
                  for (int n = 0; ; n++) {
                    run(model, 64);
                    if (n == 3) {
                      busy.countDown();
                    }
                  }
                });
        thread.setDaemon(true);
        thread.setUncaughtExceptionHandler(
            (t, e) -> {
              if (busy.getCount() > 0) {
                e.printStackTrace();
                Runtime.getRuntime().halt(1);
              }
            });
        thread.start();
      }
      busy.await();
      System.exit(0);
    }
  }

  @Test
  void shutdownWhileInferringDoesNotCrash() throws Exception {
    Process process =
        ChildJvm.of(
                BusyExecutor.class,
                List.of("-Xmx512m", "-XX:ErrorFile=" + temp.resolve("crash.log")),
                temp.resolve("cache").toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
  }

  /** Says how many threads libtorch was given. */
  static final class ThreadCount {
    private ThreadCount() {}

    public static void main(String[] args) throws IOException {
      Device device =
          Devices.resolve(Devices.Choice.auto, List.of(), PackSpec.EngineName.PyTorch, 3);
      System.out.println("device " + device);
      load(args[0]).close();
      System.out.println("threads " + ai.djl.pytorch.jni.JniUtils.getNumThreads());
    }
  }

  @Test
  void lookingForAGpuDoesNotLoseTheNumberOfThreads() throws Exception {
    Process process =
        ChildJvm.of(ThreadCount.class, List.of("-Xmx512m"), temp.resolve("cache").toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    assertThat(output).contains("threads 3");
  }
}
