package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.lakegen.jobs.ChildJvm;
import io.lakegen.jobs.TestJobs;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The doctor in JVMs of its own, as an engine loads its libraries once. */
class DoctorTest {
  private static final List<String> MEMORY = List.of("-Xmx1g");

  @TempDir Path folder;

  private record Answer(int status, String out) {}

  private static Answer doctor(
      List<String> prefix, Map<String, String> environment, List<String> options, String... args)
      throws IOException, InterruptedException {
    List<String> all = new ArrayList<>(MEMORY);
    all.addAll(options);
    List<String> words = new ArrayList<>(List.of("doctor"));
    words.addAll(List.of(args));
    ProcessBuilder builder = ChildJvm.of(Main.class, all, words.toArray(String[]::new));
    List<String> command = new ArrayList<>(prefix);
    command.addAll(builder.command());
    builder.command(command);
    builder.environment().putAll(environment);
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    System.err.println(out);
    return new Answer(process.waitFor(), out);
  }

  @Test
  void aHealthyMachine() throws Exception {
    Path output = folder.resolve("new/out");

    Answer answer =
        doctor(
            List.of(),
            Map.of("LAKEGEN_CACHE", folder.resolve("cache").toString()),
            List.of(),
            "--device=cpu",
            "--model=" + TestJobs.MINILM,
            "--output=" + output);

    assertThat(answer.out())
        .endsWith("Nothing is wrong." + System.lineSeparator())
        .containsPattern("Spark +4\\.1\\.2, master local")
        .containsPattern("Hadoop +3\\.4\\.2")
        .containsPattern("S3 +commits by spark-hadoop-cloud's protocol with the committer magic")
        .containsPattern("output +" + output + ", writable")
        .containsPattern("PyTorch +2\\.7\\.1, loaded from /")
        .containsPattern("OnnxRuntime +1\\.21\\.1, loaded from /")
        .containsPattern("tokenizers +loaded from /")
        .containsPattern("image decoders +loaded from /")
        .containsPattern("pack cache +" + folder + "/cache/packs, writable, [0-9.]+ [MG]B free")
        .containsPattern("model +" + TestJobs.MINILM + ", [0-9.]+ MB to fetch")
        .contains("answers its golden inputs on cpu()");
    assertThat(answer.status()).isZero();
    // What was tried is gone.
    assertThat(folder.resolve("new")).doesNotExist();
  }

  @Test
  void allThatIsWrongIsSaidAtOnce() throws Exception {
    Path broken = Files.createDirectory(folder.resolve("broken"));
    Files.writeString(broken.resolve("libtorch.so"), "no library");
    Path file = Files.writeString(folder.resolve("file"), "");

    Answer answer =
        doctor(
            List.of(),
            Map.of(
                "PYTORCH_LIBRARY_PATH",
                broken.toString(),
                "PYTORCH_VERSION",
                "2.7.1",
                "PYTORCH_FLAVOR",
                "cu128",
                "LAKEGEN_CACHE",
                file.toString()),
            List.of("-Dspark.hadoop.fs.s3a.committer.name=file"),
            "--device=cpu",
            "--output=" + file);

    assertThat(answer.out())
        .contains(
            "PyTorch: its native library does not load: ",
            "(PYTORCH_LIBRARY_PATH=" + broken + " PYTORCH_VERSION=2.7.1 PYTORCH_FLAVOR=cu128)",
            "(expected: the libraries of PyTorch 2.7.1 in PYTORCH_LIBRARY_PATH",
            "spark.hadoop.fs.s3a.committer.name: file (expected: magic; ",
            "pack cache: " + file + "/packs: ",
            "set LAKEGEN_CACHE to another folder",
            "output: file:" + file + " (expected: a folder; a file is there)")
        .containsPattern("tokenizers +loaded from /")
        .doesNotContain("Nothing is wrong");
    assertThat(answer.status()).isEqualTo(1);
  }

  @Test
  void aJarWithoutTorchAndNoneElsewhere() throws Exception {
    String classPath =
        Arrays.stream(
                System.getProperty(
                        "surefire.test.class.path", System.getProperty("java.class.path"))
                    .split(File.pathSeparator, -1))
            .filter(entry -> !entry.contains("pytorch-native-cpu"))
            .collect(Collectors.joining(File.pathSeparator));

    Answer answer =
        doctor(
            List.of(),
            Map.of(
                "LAKEGEN_CACHE",
                folder.resolve("cache").toString(),
                "DJL_CACHE_DIR",
                folder.resolve("djl").toString()),
            // Of two class paths the last one counts.
            List.of("-cp", classPath),
            "--device=cpu");

    assertThat(answer.out())
        .containsPattern("PyTorch: its native library does not load: .*")
        .contains("./lakegen gpu-libs DIR installs it and says which three variables to set)")
        .containsPattern("tokenizers +loaded from /");
    assertThat(answer.status()).isEqualTo(1);
  }

  @Test
  void librariesFromElsewhereThanWasAskedFor() throws Exception {
    Answer answer =
        doctor(
            List.of(),
            Map.of(
                "PYTORCH_LIBRARY_PATH",
                folder.toString(),
                "LAKEGEN_CACHE",
                folder.resolve("cache").toString()),
            List.of(),
            "--device=cpu");

    assertThat(answer.out())
        .containsPattern("PyTorch: loaded from /.*, not from " + folder)
        .contains("(expected: a folder with libtorch.so in PYTORCH_LIBRARY_PATH");
    assertThat(answer.status()).isEqualTo(1);
  }

  @Test
  void aFullDisk() throws Exception {
    // A file system of a mebibyte, in a name space of its own: needs no root.
    Path disk = Files.createDirectory(folder.resolve("disk"));
    String mount = "mount -t tmpfs -o size=1m tmpfs " + disk;
    List<String> unshare = List.of("unshare", "-Urm", "sh", "-c");
    List<String> prefix = new ArrayList<>(unshare);
    prefix.addAll(List.of(mount + " && exec \"$@\"", "sh"));
    List<String> probe = new ArrayList<>(prefix);
    probe.add("true");
    assumeTrue(new ProcessBuilder(probe).start().waitFor() == 0, "no user name spaces");

    Answer little =
        doctor(
            prefix,
            Map.of("LAKEGEN_CACHE", disk.toString()),
            List.of(),
            "--device=cpu",
            "--model=" + TestJobs.MINILM);

    assertThat(little.out())
        .containsPattern("model " + TestJobs.MINILM + ": 9[0-9.]+ MB, but " + disk)
        .contains("(expected: room for the pack; make some, or set LAKEGEN_CACHE");
    assertThat(little.status()).isEqualTo(1);

    prefix.set(
        unshare.size(), mount + " && dd if=/dev/zero of=" + disk + "/full bs=1k; exec \"$@\"");
    Answer full =
        doctor(prefix, Map.of("LAKEGEN_CACHE", disk.toString()), List.of(), "--device=cpu");

    assertThat(full.out()).contains("pack cache: " + disk + "/packs: ", "No space left on device");
    assertThat(full.status()).isEqualTo(1);
  }

  @Test
  void aMissingGpuAndAWrongOption() throws IOException {
    TestJobs.Result gpu = TestJobs.run("doctor", "--device", "gpu");
    assertThat(gpu.status()).isEqualTo(1);
    assertThat(gpu.out()).contains("PyTorch device: gpu (expected: a GPU that PyTorch can see");
    TestJobs.Result unknown = TestJobs.run("doctor", "--modle", "x");
    assertThat(unknown.status()).isEqualTo(2);
    assertThat(unknown.err()).contains("Unknown option");
    assertThat(TestJobs.run("--help").out()).contains("doctor");
  }
}
