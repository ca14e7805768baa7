package io.lakegen.jobs.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.sql.SparkSession;

/**
 * A driver of its own for {@link LengthTask}: {@code INPUT OUTPUT ROWS MILLIS_PER_ROW [key=value]}.
 */
final class LengthMain {
  static final Path PACK =
      Path.of("../inference/src/test/resources/fixtures/bert/pack").toAbsolutePath().normalize();

  private LengthMain() {}

  /**
   * A process that runs {@link #main}.
   *
   * @param input file or folder
   * @param every rows of {@code --commit-every}
   */
  static Process start(
      Object input, Object output, int every, int millis, Path log, Map<String, String> conf)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin/java").toString());
    command.add("@" + Path.of("../conf/java-options").toAbsolutePath().normalize());
    command.add("-Xmx1g");
    command.add("-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile"));
    command.add("-cp");
    command.add(
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
    command.add(LengthMain.class.getName());
    command.addAll(
        List.of(
            input.toString(),
            output.toString(),
            Integer.toString(every),
            Integer.toString(millis),
            log.toString()));
    new TreeMap<>(conf).forEach((key, value) -> command.add(key + "=" + value));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder
        .environment()
        .putIfAbsent("LAKEGEN_CACHE", Path.of("target/cache").toAbsolutePath().toString());
    return builder
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(Path.of(log + ".out").toFile()))
        .start();
  }

  /** Runs the task; the status is 0 when it has committed everything. */
  public static void main(String[] args) throws IOException {
    LengthTask.nanosPerRow = Long.parseLong(args[3]) * 1_000_000;
    LengthTask.log = Path.of(args[4]);
    SparkSession.Builder spark =
        SparkSession.builder().master("local[2]").config("spark.ui.enabled", "false");
    Arrays.stream(args).skip(5).map(a -> a.split("=", 2)).forEach(a -> spark.config(a[0], a[1]));
    JobSpec spec =
        JobSpec.of(new LengthTask())
            .with(JobOptions.INPUT, List.of(args[0]))
            .with(JobOptions.MODEL, PACK.toString())
            .with(JobOptions.OUTPUT, args[1])
            .with(JobOptions.COMMIT_EVERY, CommitEvery.parse(args[2]));
    System.out.println(Jobs.run(spark.getOrCreate(), spec, System.out).lines());
    // Without this the JVM would wait for threads of Spark.
    System.exit(0);
  }
}
