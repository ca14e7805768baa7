package io.lakegen.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.spark.ExecutorModels;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.spark.sql.classic.SparkSession;

/**
 * The render job beside diffusers, in turns: a Stable Diffusion with half the channels and random
 * weights (see {@code bench/render_diffusers.py}), 16 prompts, 256 x 256 pixels, 10 steps of DDIM,
 * guidance, batches of 4, all cores (the job has a task on each, diffusers a thread); the job in
 * float32 and with a bfloat16 pack, diffusers in float32. Then the job alone with an unCLIP of
 * three stages, for the share of the time in which a model runs. {@code ./lakegen bench render}
 */
public final class RenderBench {
  private static final int IMAGES = 16;

  private final Path folder = Path.of(".lakegen/bench/render").toAbsolutePath();
  private final Path outputs = Path.of(".lakegen/bench/render-output").toAbsolutePath();
  private final Path input = folder.resolve("prompts.jsonl");

  private RenderBench() {}

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    SparkSession spark = LocalJob.session("local[*]").getOrCreate();
    new RenderBench().run();
    spark.stop();
    ExecutorModels.close();
  }

  private void run() throws Exception {
    int threads = Runtime.getRuntime().availableProcessors();
    FileSystem.getLocal(new Configuration())
        .delete(new org.apache.hadoop.fs.Path(outputs.toUri()), true);
    Report report = new Report("render");
    lakegen("float32", "warm", "--limit", "1");
    long before = busyNanos();
    Spent job = Spent.by(() -> lakegen("float32", "job"));
    double busy = (busyNanos() - before) / 1e9 / job.seconds();
    report.figure("job_seconds_per_image", job.seconds() / IMAGES);
    report.figure("job_busy", busy);
    JsonNode diffusers =
        Peer.run("bench/render_diffusers.py", "time", folder.toString(), Integer.toString(threads));
    if (diffusers.path("images").asInt() != IMAGES || diffusers.path("width").asInt() != 256) {
      throw new IllegalStateException("diffusers: " + diffusers + " (expected: the same images)");
    }
    double seconds = diffusers.path("seconds").asDouble();
    double cpuSeconds = diffusers.path("cpu_seconds").asDouble();
    report.figure("diffusers_seconds_per_image", seconds / IMAGES);
    lakegen("bfloat16", "warm-bfloat16", "--limit", "1");
    Spent bfloat16 = Spent.by(() -> lakegen("bfloat16", "job-bfloat16"));
    report.figure("bf16_seconds_per_image", bfloat16.seconds() / IMAGES);
    lakegen("unclip", "warm-stages", "--limit", "1");
    before = busyNanos();
    Spent stages = Spent.by(() -> lakegen("unclip", "job-stages"));
    double stagesBusy = (busyNanos() - before) / 1e9 / stages.seconds();
    report.figure("stages_seconds_per_image", stages.seconds() / IMAGES);
    report.figure("stages_busy", stagesBusy);
    report.figure("stages_busy_over_job_busy", stagesBusy / busy);
    report.figure("job_over_diffusers", seconds / job.seconds());
    report.figure("bf16_over_diffusers", seconds / bfloat16.seconds());
    // Unlike the clock, these do not count what other processes take.
    report.figure("job_over_diffusers_cpu_seconds", cpuSeconds / job.cpuSeconds());
    report.figure("bf16_over_diffusers_cpu_seconds", cpuSeconds / bfloat16.cpuSeconds());
    report.figure("peak_rss_mb", Report.memory("VmHWM"));
    report.print();
  }

  private static long busyNanos() {
    return ExecutorModels.pool().busyNanos();
  }

  private void lakegen(String pack, String output, String... more) {
    List<String> args =
        new ArrayList<>(
            List.of(
                "render",
                "--input",
                input.toString(),
                "--model",
                folder.resolve(pack).toString(),
                "--output",
                outputs.resolve(output).toString(),
                "--num-inference-steps",
                "10"));
    args.addAll(List.of(more));
    LocalJob.run(args.toArray(String[]::new));
  }
}
