package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.jobs.ChildJvm;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What holds on every file system. */
abstract class ExclusiveFileContract {
  private static final int THREADS = 12;
  private static final int PROCESSES = 3;
  private static final int FILES = 40;

  private FileSystem fs;
  private Path folder;

  /** A folder that exists or not. */
  abstract Path root();

  abstract Map<String, String> hadoopSettings();

  /** Whether of many replacements of one version just one wins, also when they come at once. */
  boolean replacesAtomically() {
    return true;
  }

  @BeforeEach
  final void open() throws IOException {
    folder = new Path(root(), UUID.randomUUID().toString());
    fs = folder.getFileSystem(configuration(hadoopSettings()));
  }

  private static Configuration configuration(Map<String, String> settings) {
    Configuration conf = new Configuration();
    settings.forEach(conf::set);
    return conf;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private String text(Path path) throws IOException {
    try (InputStream in = fs.open(path)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private List<String> names() throws IOException {
    return Arrays.stream(fs.listStatus(folder))
        .map(s -> s.getPath().getName())
        .filter(n -> !n.equals(".lock"))
        .sorted()
        .toList();
  }

  /** Runs the calls at once; their results in their order. */
  private static <T> List<T> atOnce(List<Callable<T>> calls) throws Exception {
    CyclicBarrier start = new CyclicBarrier(calls.size());
    ExecutorService threads = Executors.newFixedThreadPool(calls.size());
    try {
      List<Future<T>> futures = new ArrayList<>();
      for (Callable<T> call : calls) {
        futures.add(
            threads.submit(
                () -> {
                  start.await();
                  return call.call();
                }));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : futures) {
        results.add(future.get());
      }
      return results;
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void theFirstMakesTheFileAndTheSecondLeavesItAlone() throws IOException {
    Path path = new Path(folder, "a/b.json");

    assertThat(ExclusiveFile.create(fs, path, bytes("one"))).isTrue();
    assertThat(ExclusiveFile.create(fs, path, bytes("two"))).isFalse();
    assertThat(ExclusiveFile.create(fs, path, bytes("one, longer"))).isFalse();

    assertThat(text(path)).isEqualTo("one");
    assertThat(fs.listStatus(path.getParent()))
        .extracting(s -> s.getPath().getName())
        .containsExactly("b.json");
  }

  @Test
  void aRepeatedCallFindsItsOwnFile() throws IOException {
    Path path = new Path(folder, "a.json");

    assertThat(ExclusiveFile.create(fs, path, bytes("mine"))).isTrue();
    assertThat(ExclusiveFile.create(fs, path, bytes("mine"))).isTrue();
  }

  @Test
  void aFolderInTheWayIsAnError() throws IOException {
    Path path = new Path(folder, "a.json");
    assertThat(ExclusiveFile.create(fs, new Path(path, "child"), bytes("x"))).isTrue();

    assertThatThrownBy(() -> ExclusiveFile.create(fs, path, bytes("y")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("a.json");
    assertThat(fs.listStatus(path)).extracting(s -> s.getPath().getName()).containsExactly("child");
  }

  @Test
  void theStorePassesTheProbe() throws IOException {
    fs.mkdirs(folder);

    ExclusiveFile.probe(fs, folder);

    assertThat(names()).isEmpty();
  }

  @Test
  void ofManyThreadsOneMakesEachFile() throws Exception {
    for (int round = 0; round < 15; round++) {
      Path path = new Path(folder, "file-" + round);
      List<Callable<Boolean>> calls = new ArrayList<>();
      for (int t = 0; t < THREADS; t++) {
        byte[] content = bytes("thread " + t);
        calls.add(() -> ExclusiveFile.create(fs, path, content));
      }

      List<Boolean> won = atOnce(calls);

      assertThat(won).as("round %d", round).containsOnlyOnce(true);
      assertThat(text(path)).isEqualTo("thread " + won.indexOf(true));
    }
    assertThat(names()).allMatch(n -> n.startsWith("file-"));
  }

  @Test
  void readersSeeNoHalfOfAFile() throws Exception {
    byte[] content = bytes("0123456789abcdef".repeat(1 << 16));
    AtomicBoolean done = new AtomicBoolean();
    Callable<Integer> writer =
        () -> {
          try {
            for (int i = 0; i < 10; i++) {
              assertThat(ExclusiveFile.create(fs, new Path(folder, "file-" + i), content)).isTrue();
            }
            return 0;
          } finally {
            done.set(true);
          }
        };
    Callable<Integer> reader =
        () -> {
          int whole = 0;
          for (int i = 0; i < 10; ) {
            try (InputStream in = fs.open(new Path(folder, "file-" + i))) {
              assertThat(in.readAllBytes()).isEqualTo(content);
              whole++;
              i++;
            } catch (FileNotFoundException e) {
              if (done.get() && !fs.exists(new Path(folder, "file-" + i))) {
                throw e;
              }
            }
          }
          return whole;
        };

    assertThat(atOnce(List.of(writer, reader, reader))).containsExactly(0, 10, 10);
  }

  @Test
  void aFileIsReplacedIfItIsStillTheOneThatWasSeen() throws IOException {
    Path path = new Path(folder, "lease");
    ExclusiveFile.create(fs, path, bytes("one"));
    FileStatus first = fs.getFileStatus(path);

    assertThat(ExclusiveFile.replace(fs, path, first, bytes("two"))).isTrue();
    assertThat(text(path)).isEqualTo("two");
    FileStatus second = fs.getFileStatus(path);
    assertThat(ExclusiveFile.same(second, first)).isFalse();
    assertThat(ExclusiveFile.replace(fs, path, first, bytes("six"))).isFalse();
    assertThat(text(path)).isEqualTo("two");
    assertThat(ExclusiveFile.replace(fs, path, second, bytes("ten"))).isTrue();
    assertThat(text(path)).isEqualTo("ten");
    assertThat(names()).containsExactly("lease");
  }

  @Test
  void aFileThatWasDeletedIsNotReplaced() throws IOException {
    Path path = new Path(folder, "lease");
    ExclusiveFile.create(fs, path, bytes("one"));
    FileStatus seen = fs.getFileStatus(path);
    fs.delete(path, false);

    assertThat(ExclusiveFile.replace(fs, path, seen, bytes("two"))).isFalse();
    assertThat(fs.exists(path)).isFalse();
  }

  @Test
  void ofManyThreadsOneReplacesEachVersion() throws Exception {
    Path path = new Path(folder, "lease");
    ExclusiveFile.create(fs, path, bytes("start"));
    for (int round = 0; round < 15; round++) {
      FileStatus seen = fs.getFileStatus(path);
      List<Callable<Boolean>> calls = new ArrayList<>();
      for (int t = 0; t < THREADS; t++) {
        byte[] content = bytes("round %2d thread %2d".formatted(round, t));
        calls.add(() -> ExclusiveFile.replace(fs, path, seen, content));
      }

      List<Boolean> won = atOnce(calls);

      if (replacesAtomically()) {
        assertThat(won).as("round %d", round).containsOnlyOnce(true);
        assertThat(text(path))
            .isEqualTo("round %2d thread %2d".formatted(round, won.indexOf(true)));
      } else {
        assertThat(won).as("round %d", round).contains(true);
      }
    }
    if (replacesAtomically()) {
      assertThat(names()).containsExactly("lease");
    }
  }

  @Test
  void ofManyProcessesOneMakesEachFile() throws Exception {
    List<String> arguments = new ArrayList<>(List.of(folder.toString()));
    hadoopSettings().forEach((key, value) -> arguments.add(key + "=" + value));
    List<Process> processes = new ArrayList<>();
    try {
      for (int i = 0; i < PROCESSES; i++) {
        processes.add(
            ChildJvm.of(Contender.class, List.of("-Xmx256m"), arguments.toArray(String[]::new))
                .start());
      }
      for (Process process : processes) {
        // Ready.
        assertThat(process.getInputStream().read()).isEqualTo('R');
      }
      for (Process process : processes) {
        process.getOutputStream().write('G');
        process.getOutputStream().flush();
      }
      List<String> won = new ArrayList<>();
      for (Process process : processes) {
        String out =
            new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertThat(process.waitFor()).isZero();
        if (!out.isEmpty()) {
          won.addAll(List.of(out.split("\n")));
        }
      }
      assertThat(won)
          .containsExactlyInAnyOrderElementsOf(
              java.util.stream.IntStream.range(0, FILES).mapToObj(i -> "file-" + i).toList());
    } finally {
      processes.forEach(Process::destroyForcibly);
    }
  }

  /** Tries to make all files and prints the ones it made. */
  static final class Contender {
    private Contender() {}

    public static void main(String[] args) throws IOException {
      Configuration conf = new Configuration();
      for (String setting : List.of(args).subList(1, args.length)) {
        int equals = setting.indexOf('=');
        conf.set(setting.substring(0, equals), setting.substring(equals + 1));
      }
      Path folder = new Path(args[0]);
      FileSystem fs = folder.getFileSystem(conf);
      fs.exists(folder);
      byte[] content = bytes("process " + ProcessHandle.current().pid());
      System.out.print('R');
      System.out.flush();
      if (System.in.read() != 'G') {
        throw new IOException("the parent has ended");
      }
      for (int i = 0; i < FILES; i++) {
        if (ExclusiveFile.create(fs, new Path(folder, "file-" + i), content)) {
          System.out.println("file-" + i);
        }
      }
      System.out.flush();
    }
  }
}
