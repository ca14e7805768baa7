package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.ChildJvm;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PackStoreTest {
  @TempDir Path temp;

  private Path source;
  private Path root;
  private PackStore store;

  @BeforeEach
  void makePack() throws IOException {
    source = TestPacks.withoutModel(temp.resolve("my pack"));
    root = temp.resolve("cache").resolve("packs");
    store = new PackStore(root);
    CountingFileSystem.OPENED.clear();
  }

  @AfterEach
  void heal() {
    CountingFileSystem.UNREADABLE.clear();
  }

  private ModelPack fetch() throws IOException {
    return store.fetch(CountingFileSystem.uri(source), CountingFileSystem.configuration());
  }

  private List<String> cached() throws IOException {
    try (Stream<Path> files = Files.list(root)) {
      return files.map(f -> f.getFileName().toString()).filter(f -> !f.endsWith(".lock")).toList();
    }
  }

  private void assertWholeCopy(ModelPack pack) throws IOException {
    assertThat(pack.folder()).isEqualTo(root.resolve(pack.sha256()));
    try (Stream<Path> files = Files.list(source)) {
      for (Path file : files.toList()) {
        assertThat(pack.folder().resolve(file.getFileName())).hasSameBinaryContentAs(file);
      }
    }
    assertThat(cached()).containsExactly(pack.sha256());
  }

  @Test
  void fetchesALocalFolder() throws IOException {
    ModelPack pack = store.fetch(source.toString(), new Configuration());
    assertThat(pack.sha256())
        .isEqualTo(TestPacks.sha256(Files.readAllBytes(source.resolve("pack.json"))));
    assertThat(pack.file("model.pt")).isEqualTo(root.resolve(pack.sha256()).resolve("model.pt"));
    assertWholeCopy(pack);
  }

  @Test
  void fetchesFromAnyHadoopFileSystemAndOnlyOnce() throws IOException {
    assertWholeCopy(fetch());
    assertWholeCopy(fetch());
    assertThat(CountingFileSystem.OPENED)
        .containsEntry("pack.json", 2)
        .containsEntry("model.pt", 1)
        .containsEntry("tokenizer.json", 1)
        .containsEntry("golden.json", 1);
  }

  @Test
  void onlyListedFilesCanBeAskedFor() throws IOException {
    ModelPack pack = fetch();
    assertThatThrownBy(() -> pack.file("../secret"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("file: ../secret (expected: one of [");
  }

  @Test
  void aFolderThatIsNoPack() throws IOException {
    Path empty = Files.createDirectory(temp.resolve("empty"));
    assertThatThrownBy(() -> store.fetch(empty.toString(), new Configuration()))
        .isInstanceOf(InvalidPackException.class)
        .hasMessage(
            "model pack "
                + empty
                + ": pack.json: missing (expected: a folder made by the model exporter, with"
                + " pack.json)");
    assertThatThrownBy(() -> store.fetch(temp + "/nowhere", new Configuration()))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageContaining("/nowhere: pack.json: missing (expected: ");
  }

  @Test
  void missingAndAlteredFilesAreNamedTogetherAndNothingIsKept() throws IOException {
    Files.delete(source.resolve("tokenizer.json"));
    String before = TestPacks.sha256(Files.readAllBytes(source.resolve("model.pt")));
    Files.writeString(source.resolve("model.pt"), "poisoned");

    assertThatThrownBy(this::fetch)
        .isInstanceOf(InvalidPackException.class)
        .hasMessageStartingWith("model pack " + CountingFileSystem.uri(source) + ": ")
        .hasMessageContaining("tokenizer.json: missing (expected: a file of the pack)")
        .hasMessageContaining(
            "sha256.model.pt: "
                + TestPacks.sha256("poisoned".getBytes(StandardCharsets.UTF_8))
                + " (expected: "
                + before
                + ")");
    assertThat(cached()).isEmpty();
  }

  @Test
  void aFetchThatBreaksOffLeavesNothingAndIsTriedAgain() throws IOException {
    CountingFileSystem.UNREADABLE.add("model.pt");
    assertThatThrownBy(this::fetch)
        .isInstanceOf(IOException.class)
        .hasMessage("connection reset while reading model.pt");
    assertThat(cached()).isEmpty();

    CountingFileSystem.UNREADABLE.clear();
    assertWholeCopy(fetch());
  }

  @Test
  void damagedCopiesAreReplaced() throws IOException {
    ModelPack pack = fetch();
    Files.writeString(pack.file("model.pt"), "bit rot");
    assertWholeCopy(fetch());

    Files.delete(pack.file("tokenizer.json"));
    assertWholeCopy(fetch());

    Files.writeString(pack.folder().resolve("pack.json"), "{}");
    assertWholeCopy(fetch());
    assertThat(CountingFileSystem.OPENED).containsEntry("model.pt", 4);
  }

  /** Digests are computed once a JVM; after that the file system tells what was touched. */
  @Test
  void aCopyOfTheSameSizeAndTimeIsReplacedIfItsContentIsAnother() throws Exception {
    Path model = fetch().file("model.pt");
    FileTime modified = Files.getLastModifiedTime(model);
    byte[] content = Files.readAllBytes(model);
    content[0] ^= 1;
    // A file system's clock advances every few milliseconds.
    Thread.sleep(50);
    Files.write(model, content);
    Files.setLastModifiedTime(model, modified);
    assertWholeCopy(fetch());
    assertThat(CountingFileSystem.OPENED).containsEntry("model.pt", 2);
  }

  /** Tokenizers and engines look for files beside their own. */
  @Test
  void aCopyWithMoreFilesThanThePackIsReplaced() throws IOException {
    ModelPack pack = fetch();
    Files.writeString(pack.folder().resolve("tokenizer_config.json"), "{}");
    assertWholeCopy(fetch());
    assertThat(pack.folder().resolve("tokenizer_config.json")).doesNotExist();
  }

  @Test
  void aCopyWithALinkInItIsReplacedEvenIfTheContentIsRight() throws IOException {
    ModelPack pack = fetch();
    Path elsewhere = temp.resolve("elsewhere.pt");
    Files.move(pack.file("model.pt"), elsewhere);
    Files.createSymbolicLink(pack.file("model.pt"), elsewhere);
    assertWholeCopy(fetch());
    assertThat(Files.isSymbolicLink(pack.file("model.pt"))).isFalse();
    assertThat(elsewhere).exists();

    Path moved = temp.resolve("moved");
    Files.move(pack.folder(), moved);
    Files.createSymbolicLink(pack.folder(), moved);
    assertWholeCopy(fetch());
    assertThat(Files.isSymbolicLink(pack.folder())).isFalse();
    assertThat(moved).exists();
  }

  private void assertRefused(String problem) throws IOException {
    assertThatThrownBy(() -> store.fetch(source.toString(), new Configuration()))
        .isInstanceOf(InvalidPackException.class)
        .hasMessage("model pack " + source + ": " + problem);
    assertThat(root).satisfiesAnyOf(r -> assertThat(r).doesNotExist(), r -> assertNothingCached());
  }

  private void assertNothingCached() {
    try {
      assertThat(cached()).isEmpty();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void linksThatLeaveTheFolderAreRefusedBeforeAnythingIsRead() throws IOException {
    Path outside = temp.resolve("secret.json");
    Files.move(source.resolve("model.pt"), outside);
    Files.createSymbolicLink(source.resolve("model.pt"), outside);
    assertRefused(
        "model.pt: a link to "
            + outside.toRealPath()
            + " (expected: a file inside the pack's folder)");

    Files.delete(source.resolve("model.pt"));
    Files.createSymbolicLink(source.resolve("model.pt"), Path.of("../secret.json"));
    assertRefused(
        "model.pt: a link to "
            + outside.toRealPath()
            + " (expected: a file inside the pack's folder)");

    // Its content would stand in the message that says that it is no pack.json.
    Files.delete(source.resolve("pack.json"));
    Files.createSymbolicLink(source.resolve("pack.json"), outside);
    assertRefused(
        "pack.json: a link to "
            + outside.toRealPath()
            + " (expected: a file inside the pack's folder)");

    Files.delete(source.resolve("pack.json"));
    Files.createSymbolicLink(source.resolve("pack.json"), Path.of("pack.json"));
    assertThatThrownBy(() -> store.fetch(source.toString(), new Configuration()))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageMatching(".*: pack\\.json: .*(expected: a file inside the pack's folder).*");
  }

  @Test
  void linksInsideTheFolderAndToTheFolderAreFine() throws IOException {
    Files.move(source.resolve("model.pt"), source.resolve("blob"));
    Files.createSymbolicLink(source.resolve("model.pt"), Path.of("blob"));
    Path link = Files.createSymbolicLink(temp.resolve("latest"), source);
    ModelPack pack = store.fetch(link.toString(), new Configuration());
    assertThat(Files.isSymbolicLink(pack.file("model.pt"))).isFalse();
    assertThat(pack.file("model.pt")).hasSameBinaryContentAs(source.resolve("blob"));
  }

  /** Opening a pipe would wait for ever. */
  @Test
  void pipesAreNoFilesOfAPack() throws Exception {
    Files.delete(source.resolve("tokenizer.json"));
    Process mkfifo =
        new ProcessBuilder("mkfifo", source.resolve("tokenizer.json").toString()).start();
    assertThat(mkfifo.waitFor()).isZero();
    assertRefused("tokenizer.json: no regular file (expected: a file inside the pack's folder)");
  }

  @Test
  void aManifestWithoutEndIsNotReadWhole() throws IOException {
    try (java.io.RandomAccessFile file =
        new java.io.RandomAccessFile(source.resolve("pack.json").toFile(), "rw")) {
      file.setLength(1L << 40);
    }
    assertRefused("pack.json: more than 16777216 bytes (expected: at most 16777216)");
  }

  @Test
  void belowASharedFolderTheCacheBelongsToThisUserAlone() throws IOException {
    Path shared = Files.createDirectory(temp.resolve("shared"));
    ModelPack pack = PackStore.inShared(shared).fetch(source.toString(), new Configuration());
    Path base = shared.resolve("lakegen-" + System.getProperty("user.name"));
    assertThat(pack.folder()).startsWith(base);
    assertThat(Files.getPosixFilePermissions(base))
        .isEqualTo(java.nio.file.attribute.PosixFilePermissions.fromString("rwx------"));
    PackStore.inShared(shared).fetch(source.toString(), new Configuration());

    Files.setPosixFilePermissions(
        base, java.nio.file.attribute.PosixFilePermissions.fromString("rwxrwxr-x"));
    assertThatThrownBy(
            () -> PackStore.inShared(shared).fetch(source.toString(), new Configuration()))
        .isInstanceOf(IOException.class)
        .hasMessage(
            base
                + ": others can write to it (expected: a folder of this user alone; remove it, or"
                + " set LAKEGEN_CACHE to another folder)");
  }

  @Test
  void whatAKilledFetchLeftBehindIsRemoved() throws IOException {
    String sha256 = TestPacks.sha256(Files.readAllBytes(source.resolve("pack.json")));
    Path partial = Files.createDirectories(root.resolve(sha256 + ".partial"));
    Files.writeString(partial.resolve("model.pt"), "half");
    assertWholeCopy(fetch());
  }

  @Test
  void aChangedPackIsAnotherPack() throws IOException {
    ModelPack first = fetch();
    Path other = TestPacks.withoutModel(temp.resolve("other"));
    Files.writeString(other.resolve("pack.json"), " ", java.nio.file.StandardOpenOption.APPEND);
    ModelPack second = store.fetch(other.toString(), new Configuration());
    assertThat(cached()).containsExactlyInAnyOrder(first.sha256(), second.sha256());
  }

  @Test
  void manyThreadsFetchOnce() throws Exception {
    int threads = 8;
    CyclicBarrier start = new CyclicBarrier(threads);
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<ModelPack>> futures = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        futures.add(
            pool.submit(
                () -> {
                  start.await();
                  return fetch();
                }));
      }
      Set<ModelPack> packs = new HashSet<>();
      for (Future<ModelPack> future : futures) {
        packs.add(future.get());
      }
      assertThat(packs).hasSize(1);
      assertWholeCopy(packs.iterator().next());
    } finally {
      pool.shutdownNow();
    }
    assertThat(CountingFileSystem.OPENED).containsEntry("model.pt", 1);
  }

  /** One executor of several on a node; waits for a line on its input so that all begin at once. */
  static final class Executor {
    private Executor() {}

    public static void main(String[] args) throws IOException {
      System.out.println("ready");
      int go = System.in.read();
      ModelPack pack = PackStore.ofNode().fetch(args[0], CountingFileSystem.configuration());
      System.out.println(
          go + " " + CountingFileSystem.OPENED.get("model.pt") + " " + pack.folder());
    }
  }

  @Test
  void manyProcessesFetchOnceIntoTheConfiguredFolder() throws Exception {
    List<Process> processes = new ArrayList<>();
    try {
      for (int i = 0; i < 3; i++) {
        ProcessBuilder builder =
            ChildJvm.of(Executor.class, List.of("-Xmx256m"), CountingFileSystem.uri(source));
        builder.environment().put("LAKEGEN_CACHE", temp.resolve("cache").toString());
        processes.add(builder.redirectError(ProcessBuilder.Redirect.INHERIT).start());
      }
      List<BufferedReader> outputs = new ArrayList<>();
      for (Process process : processes) {
        BufferedReader output =
            new BufferedReader(
                new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        assertThat(output.readLine()).isEqualTo("ready");
        outputs.add(output);
      }
      for (Process process : processes) {
        process.getOutputStream().write('g');
        process.getOutputStream().flush();
      }
      String folder =
          root.resolve(TestPacks.sha256(Files.readAllBytes(source.resolve("pack.json"))))
              .toString();
      List<String> lines = new ArrayList<>();
      for (BufferedReader output : outputs) {
        lines.add(output.readLine());
      }
      String prefix = (int) 'g' + " ";
      assertThat(lines)
          .containsExactlyInAnyOrder(
              prefix + "1 " + folder, prefix + "null " + folder, prefix + "null " + folder);
      for (Process process : processes) {
        assertThat(process.waitFor()).isZero();
      }
    } finally {
      processes.forEach(Process::destroyForcibly);
    }
    assertWholeCopy(fetch());
    assertThat(CountingFileSystem.OPENED).doesNotContainKey("model.pt");
  }
}
