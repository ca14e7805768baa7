package io.lakegen.bench;

import java.io.File;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/**
 * A standalone cluster of Spark on this machine: a master, and workers that are bound to one core
 * each, with their executors: Spark's count of cores limits tasks, not threads.
 */
final class StandaloneCluster implements AutoCloseable {
  private final Path folder;
  private final Path home;
  private final String url;
  private final List<Process> daemons = new ArrayList<>();
  private final List<Process> workers = new ArrayList<>();

  /**
   * Starts it; workers and executors come up meanwhile.
   *
   * @param folder for logs, which is empty
   */
  StandaloneCluster(Path folder, int workers) throws IOException {
    this.folder = folder;
    this.home = home();
    int port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
    this.url = "spark://127.0.0.1:" + port;
    Process master = start("master", List.of(), "master.Master", "--port", Integer.toString(port));
    awaitListening(master, port);
    for (int i = 0; i < workers; i++) {
      String name = "worker" + i;
      String work = folder.resolve(name).toString();
      this.workers.add(
          start(
              name,
              List.of("taskset", "--cpu-list", Integer.toString(i)),
              "worker.Worker",
              List.of("--port", "0", "--cores", "1", "--memory", "2g", "--work-dir", work, url)
                  .toArray(String[]::new)));
    }
  }

  private static void awaitListening(Process process, int port) throws IOException {
    while (process.isAlive()) {
      try {
        new Socket(InetAddress.getLoopbackAddress(), port).close();
        return;
      } catch (ConnectException e) {
        LockSupport.parkNanos(50_000_000);
      }
    }
    throw new IOException("the master has ended; see .lakegen/bench/cluster");
  }

  /** A folder as Spark's distribution has it, with all that is on this class path. */
  private Path home() throws IOException {
    Path jars = Files.createDirectories(folder.resolve("spark/jars"));
    int count = 0;
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
      if (entry.endsWith(".jar")) {
        Path jar = Path.of(entry).toAbsolutePath();
        // Artifacts of different groups may have one name.
        Files.createSymbolicLink(jars.resolve(count++ + "-" + jar.getFileName()), jar);
      }
    }
    return jars.getParent();
  }

  private Process start(String name, List<String> prefix, String type, String... options)
      throws IOException {
    List<String> command = new ArrayList<>(prefix);
    String java = System.getProperty("java.home");
    command.addAll(List.of(java + "/bin/java", "@" + Path.of("conf/java-options"), "-Xmx256m"));
    command.addAll(List.of("-cp", home + "/jars/*", "org.apache.spark.deploy." + type));
    command.addAll(List.of("--host", "127.0.0.1", "--webui-port", "0"));
    command.addAll(List.of(options));
    File log = folder.resolve(name + ".log").toFile();
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log);
    builder.environment().put("SPARK_HOME", home.toString());
    // Without it Spark takes a folder that lacks launch scripts for its own sources.
    builder.environment().put("SPARK_SCALA_VERSION", "2.13");
    builder.environment().put("JAVA_HOME", java);
    Process process = builder.start();
    daemons.add(process);
    return process;
  }

  /** The master's. */
  String url() {
    return url;
  }

  /**
   * Takes a worker and its executors away at once, like a machine that fails.
   *
   * @throws IllegalStateException if it has no executor
   */
  void kill(int worker) {
    Process process = workers.get(worker);
    List<ProcessHandle> executors = process.descendants().toList();
    if (executors.isEmpty()) {
      throw new IllegalStateException("worker " + worker + " has no executor to kill");
    }
    process.destroyForcibly();
    executors.forEach(ProcessHandle::destroyForcibly);
  }

  @Override
  public void close() {
    for (Process daemon : daemons) {
      Stream.concat(daemon.descendants(), Stream.of(daemon.toHandle()))
          .toList()
          .forEach(ProcessHandle::destroyForcibly);
      daemon.onExit().join();
    }
  }
}
