package io.lakegen.jobs.run;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.util.ShutdownHookManager;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run's right to write to an output: a file that says which process has it, renewed while that
 * process lives. Whoever finds it old, or its process dead on this machine, may take it over. A
 * process that slept through its lease is stopped by the {@link CommitLog}.
 */
final class Lease implements AutoCloseable {
  /** Without a renewal for so long, the owner is taken for dead. */
  static final Duration LIFE = Duration.ofSeconds(60);

  private static final Duration RENEWAL = Duration.ofSeconds(10);

  private static final Logger LOG = LoggerFactory.getLogger(Lease.class);
  private static final ObjectMapper JSON = new ObjectMapper();

  private final FileSystem fs;
  private final Path file;
  private final byte[] content;
  private final ScheduledExecutorService renewals =
      Executors.newSingleThreadScheduledExecutor(
          runnable -> {
            Thread thread = new Thread(runnable, "lakegen-lease");
            thread.setDaemon(true);
            return thread;
          });
  private final Thread atExit = new Thread(this::release, "lakegen-lease-release");
  private volatile boolean lost;

  private Lease(FileSystem fs, Path file, byte[] content) {
    this.fs = fs;
    this.file = file;
    this.content = content;
  }

  /**
   * Takes the lease.
   *
   * @throws IOException if another run that is alive has it
   */
  static Lease take(FileSystem fs, Path file, String runId) throws IOException {
    Lease lease = new Lease(fs, file, content(runId));
    Optional<FileStatus> there = status(fs, file);
    boolean taken;
    if (there.isEmpty()) {
      taken = ExclusiveFile.create(fs, file, lease.content);
    } else {
      Optional<String> owner = owner(fs, file);
      if (owner.isPresent()) {
        throw new IOException(owner.get());
      }
      LOG.warn("taking over the output from a run that is dead: {}", file.getParent().getParent());
      taken = ExclusiveFile.replace(fs, file, there.get(), lease.content);
    }
    if (!taken) {
      throw new IOException("another run took the output just now");
    }
    lease.start();
    return lease;
  }

  private void start() {
    // Before Hadoop closes its file systems.
    ShutdownHookManager.get().addShutdownHook(atExit, FileSystem.SHUTDOWN_HOOK_PRIORITY + 10);
    var unused =
        renewals.scheduleWithFixedDelay(
            this::renew, RENEWAL.toMillis(), RENEWAL.toMillis(), TimeUnit.MILLISECONDS);
  }

  /**
   * Who has the output, in words; empty if nobody alive does.
   *
   * @throws IOException if the file cannot be read
   */
  static Optional<String> owner(FileSystem fs, Path file) throws IOException {
    Optional<FileStatus> status = status(fs, file);
    if (status.isEmpty()) {
      return Optional.empty();
    }
    ObjectNode owner = read(fs, file);
    boolean here = owner.path("host").asText().equals(host());
    if (here && !alive(owner)) {
      return Optional.empty();
    }
    long age = Math.max(0, now(fs, file) - status.get().getModificationTime());
    if (!here && age > LIFE.toMillis()) {
      return Optional.empty();
    }
    String words =
        String.format(
            "run %s of process %s on %s writes to it (last sign of life %d s ago)",
            owner.path("run_id").asText(),
            owner.path("pid").asText(),
            owner.path("host").asText(),
            age / 1000);
    return Optional.of(
        here
            ? words
            : words
                + "; if that run is dead, wait until the sign is "
                + LIFE.toSeconds()
                + " s old");
  }

  private static boolean alive(ObjectNode owner) {
    return ProcessHandle.of(owner.path("pid").asLong())
        .map(p -> born(p).equals(owner.path("born").asText()))
        .orElse(false);
  }

  /** A process number comes again; together with this it does not. */
  private static String born(ProcessHandle process) {
    return process.info().startInstant().map(Object::toString).orElse("");
  }

  /** The file system's own time, since clocks differ. */
  private static long now(FileSystem fs, Path file) throws IOException {
    Path probe = new Path(file.getParent(), "probe-" + RunOutput.newRunId());
    fs.create(probe, true).close();
    long now = fs.getFileStatus(probe).getModificationTime();
    fs.delete(probe, false);
    return now;
  }

  private static Optional<FileStatus> status(FileSystem fs, Path file) throws IOException {
    try {
      return Optional.of(fs.getFileStatus(file));
    } catch (FileNotFoundException e) {
      return Optional.empty();
    }
  }

  private static ObjectNode read(FileSystem fs, Path file) throws IOException {
    try (InputStream in = fs.open(file)) {
      return JSON.readTree(in) instanceof ObjectNode owner ? owner : JSON.createObjectNode();
    }
  }

  private static byte[] content(String runId) throws IOException {
    ObjectNode owner = JSON.createObjectNode();
    owner.put("run_id", runId);
    owner.put("host", host());
    owner.put("pid", ProcessHandle.current().pid());
    owner.put("born", born(ProcessHandle.current()));
    return JSON.writeValueAsBytes(owner);
  }

  private static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "localhost";
    }
  }

  private void renew() {
    try {
      if (!isMine()) {
        lost = true;
        return;
      }
      if (RunOutput.isObjectStore(fs)) {
        // Objects have the time of their upload, which shows whole or not at all.
        try (OutputStream out = fs.create(file, true)) {
          out.write(content);
        }
      } else {
        fs.setTimes(file, now(fs, file), -1);
      }
    } catch (IOException e) {
      LOG.warn("cannot renew the lease {}", file, e);
    }
  }

  private boolean isMine() throws IOException {
    try {
      return read(fs, file).equals(JSON.readTree(content));
    } catch (FileNotFoundException e) {
      return false;
    }
  }

  /**
   * To be called before a commit.
   *
   * @throws IOException if another run has taken the lease over
   */
  void check() throws IOException {
    if (lost || !isMine()) {
      throw new IOException(
          file + " is another run's now: this one was taken for dead. It commits nothing more");
    }
  }

  private void release() {
    try {
      if (isMine()) {
        fs.delete(file, false);
      }
    } catch (IOException e) {
      LOG.warn("cannot remove the lease {}; it ends in {} s", file, LIFE.toSeconds(), e);
    }
  }

  /** Gives the lease up. */
  @Override
  public void close() {
    renewals.shutdownNow();
    ShutdownHookManager.get().removeShutdownHook(atExit);
    release();
  }
}
