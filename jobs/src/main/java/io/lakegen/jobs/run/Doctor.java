package io.lakegen.jobs.run;

import io.lakegen.model.Devices;
import io.lakegen.model.NodeCheck;
import io.lakegen.model.NodeReport;
import io.lakegen.problem.Problems;
import io.lakegen.spark.Cluster;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.spark.ScoredRows;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.Serializable;
import java.net.InetAddress;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.util.VersionInfo;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.util.SerializableConfiguration;
import scala.jdk.javaapi.CollectionConverters;

/** Tries what jobs need of a Spark session, its driver and its executors. */
public final class Doctor {
  /** Tasks for each that runs at once, so that every executor gets one. */
  private static final int ROUNDS = 4;

  private final SparkSession spark;
  private final Devices.Choice device;
  private final PrintStream out;

  /**
   * A doctor for jobs of a session.
   *
   * @param out gets what is found, as it is found
   */
  public Doctor(SparkSession spark, Devices.Choice device, PrintStream out) {
    this.spark = spark;
    this.device = device;
    this.out = out;
  }

  private record Visit(String executor, String host, NodeReport report) implements Serializable {}

  /**
   * Examines everything.
   *
   * @param model a pack to try, or null
   * @param output a folder to write to, or null
   * @param problems get what is wrong
   */
  public void examine(String model, String output, Problems problems) {
    SparkContext context = spark.sparkContext();
    line("Spark", spark.version() + ", master " + context.master());
    line("Hadoop", VersionInfo.getVersion());
    s3(output, problems);
    if (output != null) {
      output(output, problems);
    }
    if (context.isLocal()) {
      Configuration conf = context.hadoopConfiguration();
      int threads = Cluster.threadsPerTask(context);
      print(
          "this machine",
          new NodeCheck(device, List.of(), threads).run(model, conf, ExecutorModels.pool()),
          problems);
    } else {
      Map<String, Visit> visits = visits(model);
      visits.forEach(
          (executor, visit) ->
              print("executor " + executor + " on " + visit.host(), visit.report(), problems));
      CollectionConverters.asJava(context.getExecutorIds()).stream()
          .filter(executor -> !visits.containsKey(executor))
          .forEach(executor -> line("executor " + executor, "not examined: it had no task"));
    }
  }

  private void line(String name, String value) {
    out.printf("%-15s %s%n", name, value);
  }

  private void print(String place, NodeReport report, Problems problems) {
    out.println(place + ":");
    report.facts().forEach(f -> out.println("  " + f));
    if (place.startsWith("this")) {
      report.problems().forEach(p -> problems.add(p.key(), p.found(), p.expected()));
    } else {
      problems.addAll(place, report.problems());
    }
  }

  private void s3(String output, Problems problems) {
    boolean needed = output != null && ObjectStores.isS3a(new Path(output));
    if (!ObjectStores.hasS3a() && !needed) {
      line("S3", "no hadoop-aws on the class path; only s3a:// needs it");
      return;
    }
    int before = problems.list().size();
    ObjectStores.checkCommitter("S3", needed ? output : "s3a://", spark.conf(), problems);
    line(
        "S3",
        problems.list().size() == before
            ? "commits by spark-hadoop-cloud's protocol with the committer "
                + spark.conf().get("spark.hadoop.fs.s3a.committer.name", "magic")
            : "output to it is not safe");
  }

  private void output(String uri, Problems problems) {
    int before = problems.list().size();
    Configuration conf = spark.sparkContext().hadoopConfiguration();
    if (RunOutput.check(uri, conf, problems).isEmpty()) {
      return;
    }
    Path folder = new Path(uri);
    try {
      FileSystem fs = folder.getFileSystem(conf);
      Path made = firstMissing(fs, folder);
      try {
        Path probe = new Path(folder, ".probe-" + UUID.randomUUID());
        try (OutputStream file = fs.create(probe, false)) {
          file.write(new byte[1 << 16]);
        }
        fs.delete(probe, false);
        ExclusiveFile.probe(fs, folder);
      } finally {
        if (made != null) {
          fs.delete(made, true);
        }
      }
    } catch (IOException e) {
      problems.add(
          "output",
          uri,
          "a folder that can be written; "
              + e.getClass().getSimpleName()
              + ": "
              + e.getMessage()
              + ". Give this user the right to write there, or make room");
    }
    if (problems.list().size() == before) {
      line("output", uri + ", writable");
    }
  }

  /** The first of a folder and those above it that a write would make; null if it is there. */
  private static Path firstMissing(FileSystem fs, Path folder) throws IOException {
    Path missing = null;
    for (Path path = folder; path != null && !fs.exists(path); path = path.getParent()) {
      missing = path;
    }
    return missing;
  }

  /** By the executors' ids. */
  private Map<String, Visit> visits(String model) {
    SparkContext context = spark.sparkContext();
    SerializableConfiguration conf = new SerializableConfiguration(context.hadoopConfiguration());
    int threads = Cluster.threadsPerTask(context);
    Devices.Choice choice = device;
    int tasks = ROUNDS * Cluster.concurrentTasks(context);
    Map<String, Visit> visits = new TreeMap<>();
    JavaSparkContext.fromSparkContext(context)
        .parallelize(Collections.nCopies(tasks, 0), tasks)
        .map(
            unused -> {
              NodeCheck check = new NodeCheck(choice, ScoredRows.gpuAddresses(), threads);
              return TaskResult.write(
                  new Visit(
                      SparkEnv.get().executorId(),
                      InetAddress.getLocalHost().getHostName(),
                      check.run(model, conf.value(), ExecutorModels.pool())));
            })
        .collect()
        .forEach(
            bytes -> {
              Visit visit = TaskResult.read(bytes, Visit.class);
              visits.put(visit.executor(), visit);
            });
    return visits;
  }
}
