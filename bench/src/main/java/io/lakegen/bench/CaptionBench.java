package io.lakegen.bench;

import ai.djl.Device;
import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.caption.Caption;
import io.lakegen.task.caption.Captioner;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.SparkSession;

/**
 * The caption job beside Pillow, the image processor and {@code generate} of transformers, in turns
 * on one machine: GIT of the size of git-base with random weights, photographs of 0.3 to 12
 * megapixels, the same batch size, threads and dtype. {@code ./lakegen bench caption [PHOTOS
 * [DTYPE]]}
 */
public final class CaptionBench {
  private static final Path FOLDER = Path.of(".lakegen/bench/caption").toAbsolutePath();
  private static final int BATCH = 16;

  private final Report report = new Report("caption");
  private final SparkSession spark;
  private final int photos;
  private final String dtype;

  private CaptionBench(SparkSession spark, int photos, String dtype) {
    this.spark = spark;
    this.photos = photos;
    this.dtype = dtype;
  }

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    int photos = args.length > 0 ? Integer.parseInt(args[0]) : 120;
    String dtype = args.length > 1 ? args[1] : "float32";
    Peer.output(step("prepare", "--photos", photos, "--dtype", dtype));
    SparkSession spark = LocalJob.session("local[2]").getOrCreate();
    new CaptionBench(spark, photos, dtype).run();
    spark.stop();
    ExecutorModels.close();
  }

  private Path pack() {
    return FOLDER.resolve("pack-" + dtype);
  }

  private void run() throws Exception {
    System.out.printf("caption: %d photographs, %s, batches of %d%n", photos, dtype, BATCH);
    report.figure("photos", photos);
    large();
    decode();
    JsonNode before = transformers(0, photos / 2);
    String output = FOLDER.resolve("out-" + UUID.randomUUID()).toString();
    Spent job = Spent.by(() -> job("photos-" + photos, output));
    // The machine's speed drifts: transformers runs on both sides of the job, half of the
    // photographs each.
    JsonNode after = transformers(photos / 2, photos);
    double reference = before.path("seconds").asDouble() + after.path("seconds").asDouble();
    double referenceCpu =
        before.path("cpuSeconds").asDouble() + after.path("cpuSeconds").asDouble();
    report.figure("job_photos_per_second", photos / job.seconds());
    report.figure("transformers_photos_per_second", photos / reference);
    report.figure("job_over_transformers", reference / job.seconds());
    report.figure("job_over_transformers_cpu_seconds", referenceCpu / job.cpuSeconds());
    report.figure("equal_captions", equal(output, before, after));
    report.print();
  }

  /**
   * Memory with 12-megapixel pictures only. It comes first, since a process only remembers the most
   * that it ever had.
   */
  private void large() throws IOException {
    job("large", FOLDER.resolve("out-" + UUID.randomUUID()).toString());
    double model;
    try (Stream<Path> files = Files.list(pack())) {
      model = files.mapToLong(f -> f.toFile().length()).sum() / 1048576.0;
    }
    report.figure("peak_rss_mb", Report.memory("VmHWM"));
    report.figure("model_mb", model);
    report.figure("peak_rss_over_model_mb", Report.memory("VmHWM") - model);
  }

  /** Decoding and preprocessing of 12-megapixel JPEGs, in seconds of one thread's processor. */
  private void decode() throws Exception {
    double pillow = Peer.run(step("decode")).path("seconds").asDouble();
    List<byte[]> files = new ArrayList<>();
    try (Stream<Path> paths = Files.list(FOLDER.resolve("large"))) {
      for (Path path : paths.sorted().toList()) {
        files.add(Files.readAllBytes(path));
      }
    }
    ModelPack pack = PackStore.ofNode().fetch(pack().toString(), new Configuration());
    try (LoadedModel model = LoadedModel.load(pack, Device.cpu(), 1)) {
      Captioner captioner = new Caption().open(model, OptionValues.NONE, new Budget(1));
      ThreadMXBean threads = ManagementFactory.getThreadMXBean();
      for (byte[] file : files) {
        captioner.prepare(RowInput.of(List.of("image"), new byte[][] {file}, 0));
      }
      long start = threads.getCurrentThreadCpuTime();
      for (byte[] file : files) {
        captioner.prepare(RowInput.of(List.of("image"), new byte[][] {file}, 0));
      }
      double lakegen = (threads.getCurrentThreadCpuTime() - start) / 1e9 / files.size();
      report.figure("decode_ms", lakegen * 1000);
      report.figure("pil_decode_ms", pillow * 1000);
      report.figure("decode_over_pil", pillow / lakegen);
    }
  }

  private void job(String input, String output) {
    String[] args = {
      "caption",
      "--input",
      FOLDER.resolve(input).toString(),
      "--model",
      pack().toString(),
      "--output",
      output,
      "--batch-budget",
      Integer.toString(BATCH)
    };
    LocalJob.run(args);
  }

  private JsonNode transformers(int from, int to) throws Exception {
    return Peer.run(
        step("caption", "--photos", photos, "--dtype", dtype, "--from", from, "--to", to));
  }

  private double equal(String output, JsonNode... references) {
    Map<String, String> captions = new TreeMap<>();
    for (Row row : spark.read().parquet(output).select("path", "caption").collectAsList()) {
      captions.put(Path.of(row.getString(0)).getFileName().toString(), row.getString(1));
    }
    double equal = 0;
    for (JsonNode reference : references) {
      for (Map.Entry<String, JsonNode> e : reference.path("captions").properties()) {
        equal += e.getValue().asText().strip().equals(captions.get(e.getKey())) ? 1 : 0;
      }
    }
    return equal / photos;
  }

  /** Arguments for a step of caption_transformers.py. */
  private static String[] step(Object... arguments) {
    List<String> words = new ArrayList<>();
    words.add("bench/caption_transformers.py");
    words.add(arguments[0].toString());
    words.add(FOLDER.toString());
    Arrays.stream(arguments).skip(1).map(Object::toString).forEach(words::add);
    return words.toArray(String[]::new);
  }
}
