package io.lakegen.jobs;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;

/**
 * An S3 server over a folder, with one bucket: S3Proxy in a JVM of its own, on a free port of the
 * loopback interface. It ends with {@link #close} and with the JVM that started it.
 *
 * <p>{@code If-None-Match: *} is atomic in it (a hard link); {@code If-Match} is a look before the
 * write, so of two at once both may win, unlike in AWS S3. While an object is written, a listing
 * can show its temporary file, {@code <name>-<uuid>}.
 */
public final class S3Server implements AutoCloseable {
  public static final String ACCESS_KEY = "AKIALAKEGENTESTS0001";
  public static final String SECRET_KEY = "f5ZkOhzUq7yVtwXlakegen0secret0of0the0tests";

  private static final String STARTED = "started on port ";

  private final Process process;
  private final String bucket;
  private final int port;

  private S3Server(Process process, String bucket, int port) {
    this.process = process;
    this.bucket = bucket;
    this.port = port;
  }

  /** Starts a server whose objects are files of the given folder. */
  public static S3Server start(Path folder) throws IOException {
    // Hadoop keeps file systems by bucket name: a name of its own finds no client of another
    // server.
    String bucket = "lakegen-" + UUID.randomUUID().toString().substring(0, 8);
    Files.createDirectories(folder.resolve("buckets").resolve(bucket));
    Path properties =
        Files.write(
            folder.resolve("s3proxy.properties"),
            List.of(
                "s3proxy.authorization=aws-v2-or-v4",
                "s3proxy.identity=" + ACCESS_KEY,
                "s3proxy.credential=" + SECRET_KEY,
                "jclouds.provider=filesystem-nio2",
                "jclouds.filesystem.basedir=" + folder.resolve("buckets")));
    Path logging =
        Files.write(
            folder.resolve("logback.xml"),
            List.of(
                "<configuration>",
                "<appender name='out' class='ch.qos.logback.core.ConsoleAppender'>",
                "<encoder><pattern>%level %logger{0} %msg%n</pattern></encoder></appender>",
                "<root level='warn'><appender-ref ref='out'/></root>",
                "</configuration>"));
    String classPath = Files.readString(Path.of("target/s3proxy.classpath"));
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-Dlogback.configurationFile=" + logging,
                "-cp",
                classPath + ":" + Path.of("target/test-classes").toAbsolutePath(),
                Child.class.getName(),
                "--properties",
                properties.toString()));
    for (int attempt = 1; ; attempt++) {
      try {
        return start(command, bucket);
      } catch (IOException e) {
        // Somebody took the port between its choice and its use.
        if (attempt == 3) {
          throw e;
        }
      }
    }
  }

  private static S3Server start(List<String> command, String bucket) throws IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    BufferedReader out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    StringBuilder log = new StringBuilder();
    for (String line = out.readLine(); line != null; line = out.readLine()) {
      if (line.startsWith(STARTED)) {
        drain(out);
        return new S3Server(process, bucket, Integer.parseInt(line.substring(STARTED.length())));
      }
      log.append(line).append('\n');
    }
    process.destroyForcibly();
    throw new IOException("S3Proxy did not start:\n" + log);
  }

  /** A full pipe would stop the server. */
  private static void drain(BufferedReader out) {
    Thread thread =
        new Thread(
            () -> {
              try {
                for (String line = out.readLine(); line != null; line = out.readLine()) {
                  System.err.println("S3Proxy: " + line);
                }
              } catch (IOException e) {
                // The server has ended.
              }
            },
            "s3proxy-log");
    thread.setDaemon(true);
    thread.start();
  }

  /** {@code s3a://bucket/path}. */
  public String uri(String path) {
    return "s3a://" + bucket + "/" + path;
  }

  public String bucket() {
    return bucket;
  }

  /** What S3A needs to talk to this server, as Hadoop properties. */
  public Map<String, String> hadoopSettings() {
    Map<String, String> settings = new TreeMap<>();
    settings.put("fs.s3a.endpoint", "http://127.0.0.1:" + port);
    settings.put("fs.s3a.endpoint.region", "us-east-1");
    settings.put("fs.s3a.path.style.access", "true");
    settings.put("fs.s3a.connection.ssl.enabled", "false");
    settings.put(
        "fs.s3a.aws.credentials.provider", "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider");
    settings.put("fs.s3a.access.key", ACCESS_KEY);
    settings.put("fs.s3a.secret.key", SECRET_KEY);
    // The least that S3A takes, so that small files have several parts.
    settings.put("fs.s3a.multipart.size", "5M");
    settings.put("fs.s3a.multipart.threshold", "5M");
    settings.put("fs.s3a.fast.upload.buffer", "bytebuffer");
    settings.put("fs.s3a.retry.interval", "20ms");
    settings.put("fs.s3a.retry.throttle.interval", "20ms");
    return settings;
  }

  /** The same, as properties of a Spark session. */
  public Map<String, String> sparkSettings() {
    Map<String, String> settings = new TreeMap<>();
    hadoopSettings().forEach((key, value) -> settings.put("spark.hadoop." + key, value));
    return settings;
  }

  /** A configuration with these settings. */
  public Configuration configuration() {
    Configuration conf = new Configuration();
    hadoopSettings().forEach(conf::set);
    return conf;
  }

  @Override
  public void close() {
    process.destroyForcibly();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The child's main class: S3Proxy until standard input ends, as it does when the parent dies. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) throws ReflectiveOperationException, IOException {
      InputStream in = System.in;
      Thread watch =
          new Thread(
              () -> {
                try {
                  while (in.read() >= 0) {
                    // Nothing is sent.
                  }
                } catch (IOException e) {
                  // As at the end.
                }
                Runtime.getRuntime().halt(0);
              },
              "parent-watch");
      watch.setDaemon(true);
      watch.start();
      int port;
      try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
        port = free.getLocalPort();
      }
      // S3Proxy does not tell which port it took of itself. System properties win over its file's.
      System.setProperty("s3proxy.endpoint", "http://127.0.0.1:" + port);
      Class.forName("org.gaul.s3proxy.Main")
          .getMethod("main", String[].class)
          .invoke(null, (Object) args);
      System.out.println(STARTED + port);
    }
  }
}
