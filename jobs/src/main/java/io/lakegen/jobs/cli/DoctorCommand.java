package io.lakegen.jobs.cli;

import io.lakegen.jobs.run.Doctor;
import io.lakegen.model.Devices;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.io.PrintStream;
import java.util.List;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Says whether jobs can run here. */
@Command(
    name = "doctor",
    description =
        "Tries what jobs need, on the driver and on every executor: natives, devices, the cache of"
            + " packs, S3's committer. Says what is wrong and what to do.",
    mixinStandardHelpOptions = true)
final class DoctorCommand {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "What jobs will use: auto, cpu or gpu.")
  private Devices.Choice device = Devices.Choice.auto;

  @Option(
      names = "--model",
      paramLabel = "URI",
      description = "A model pack to fetch, load and prove by its golden inputs.")
  private String model;

  @Option(
      names = "--output",
      paramLabel = "URI",
      description = "A folder that a job is to write to.")
  private String output;

  /** Whether nothing is wrong. */
  boolean examine(SparkSession spark, PrintStream out) {
    Problems problems = new Problems();
    new Doctor(spark, device, out).examine(model, output, problems);
    List<Problem> found = problems.list();
    out.println(found.isEmpty() ? "Nothing is wrong." : "Wrong:");
    found.forEach(p -> out.println("  " + p));
    return found.isEmpty();
  }
}
