package io.lakegen.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.Tasks;
import io.lakegen.batch.BatchScorer;
import io.lakegen.batch.Scored;
import io.lakegen.batch.ScoringOptions;
import io.lakegen.batch.ScoringStats;
import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.diffusion.NoiseSource;
import io.lakegen.model.DeviceUse;
import io.lakegen.model.Devices;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;

/**
 * Float16 models of real sizes on a GPU, one task's inference without Spark, beside transformers
 * and diffusers on the same GPU: MiniLM, a Llama of 1.2 billion parameters, Stable Diffusion 1.5,
 * all with random weights. {@code bench/gpu_peers.py} makes them and compares what comes out.
 *
 * <p>{@code ./lakegen bench gpu [TASK...]}; docs/gpus.md says what must be set.
 */
public final class GpuBench {
  private static final List<String> TASKS = List.of("embed", "generate", "render");
  private static final String PEERS = "bench/gpu_peers.py";

  private final Path folder;
  private final JsonNode sizes;
  private final Report report = new Report("gpu");

  private GpuBench(Path folder) throws IOException {
    this.folder = folder;
    this.sizes = new ObjectMapper().readTree(folder.resolve("sizes.json").toFile());
  }

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    Path folder = Path.of(System.getProperty("lakegen.bench", ".lakegen/bench/gpu"));
    GpuBench bench = new GpuBench(folder.toAbsolutePath());
    for (String task : args.length == 0 ? TASKS : List.of(args)) {
      bench.lakegen(task);
      JsonNode peer = Peer.run(PEERS, "time", bench.folder.toString(), task);
      System.out.println(peer);
      peer.properties().stream()
          .filter(e -> e.getValue().isNumber())
          .forEach(e -> bench.report.figure(task + "_" + e.getKey(), e.getValue().asDouble()));
    }
    bench.report.print();
  }

  private int size(String name) {
    return sizes.path(name).asInt();
  }

  private void lakegen(String task) throws IOException, InterruptedException {
    TaskDefinition definition = Tasks.named(task).orElseThrow();
    List<String> texts = new ArrayList<>();
    new ObjectMapper()
        .readTree(folder.resolve(task).resolve("rows.json").toFile())
        .forEach(t -> texts.add(t.asText()));
    List<RowInput> rows =
        IntStream.range(0, texts.size()).mapToObj(i -> row(definition, texts.get(i), i)).toList();
    OptionValues options = options(definition);
    ModelPack pack =
        new PackStore(folder.resolve("packs"))
            .fetch(folder.resolve(task).resolve("pack").toString(), new Configuration());
    long start = System.nanoTime();
    try (LoadedModel model =
        LoadedModel.load(
            pack,
            Devices.resolve(Devices.Choice.auto, List.of(), pack.spec().engine(), 1),
            Runtime.getRuntime().availableProcessors())) {
      report.figure(task + "_load_seconds", (System.nanoTime() - start) / 1e9);
      // The first round has the GPU's libraries choose their kernels, and memory taken.
      score(definition, model, options, rows);
      ScoringStats stats = new ScoringStats();
      DeviceUse use = new DeviceUse();
      List<Object> results = new ArrayList<>();
      GpuShare share = GpuShare.start();
      Spent spent =
          Spent.by(() -> results.addAll(score(definition, model, options, rows, stats, use)));
      double busy = share.end();
      report.figure(task + "_seconds", spent.seconds());
      report.figure(task + "_rows_per_second", rows.size() / spent.seconds());
      report.figure(task + "_cpu_seconds", spent.cpuSeconds());
      if (!Double.isNaN(busy)) {
        report.figure(task + "_gpu_busy", busy);
      }
      report.figure(task + "_model_busy", use.busyNanos() / 1e9 / spent.seconds());
      report.figure(task + "_batches", (double) stats.value(Counter.batches));
      report.figure(task + "_padded", (double) stats.value(Counter.padded));
      report.figure(task + "_prepare_seconds", stats.value(Counter.prepareNanos) / 1e9);
      keep(task, definition, model, options, results);
    }
  }

  private static RowInput row(TaskDefinition definition, String text, int number) {
    List<String> names = definition.inputs(OptionValues.NONE).stream().map(i -> i.name()).toList();
    return RowInput.of(
        names.subList(0, 1), new byte[][] {text.getBytes(StandardCharsets.UTF_8)}, number);
  }

  private OptionValues options(TaskDefinition definition) {
    Map<String, ?> raw =
        switch (definition.data().name()) {
          case "generate" -> Map.of("max-new-tokens", size("newTokens"));
          case "render" ->
              Map.of(
                  "num-inference-steps", size("steps"),
                  "height", size("side"),
                  "width", size("side"));
          default -> Map.of();
        };
    Problems problems = new Problems();
    OptionValues values = OptionValues.parse(definition.data().allOptions(), raw, problems);
    problems.throwIfAny();
    return values;
  }

  private long budget(String task) {
    return switch (task) {
      case "embed" -> size("tokensOfBatch");
      case "render" -> (long) size("imagesOfBatch") * size("side") * size("side");
      default -> Tasks.named(task).orElseThrow().data().budget().gpu();
    };
  }

  private void score(
      TaskDefinition definition, LoadedModel model, OptionValues options, List<RowInput> rows) {
    score(definition, model, options, rows, new ScoringStats(), new DeviceUse());
  }

  private List<Object> score(
      TaskDefinition definition,
      LoadedModel model,
      OptionValues options,
      List<RowInput> rows,
      ScoringStats stats,
      DeviceUse use) {
    Budget budget = new Budget(budget(definition.data().name()));
    @SuppressWarnings("unchecked") // its own prepared rows and results are all that it is given
    Task<Object, Object> task = (Task<Object, Object>) definition.open(model, options, budget);
    List<Object> results = new ArrayList<>(rows.size());
    int threads = Runtime.getRuntime().availableProcessors();
    try (BatchScorer<RowInput, Object, Object> scorer =
        new BatchScorer<>(
            rows.iterator(),
            r -> r,
            r -> "row " + r.seed(),
            task,
            new ScoringOptions(definition.data().windowRows(), 1L << 28, threads),
            budget,
            use,
            stats)) {
      while (scorer.hasNext()) {
        Scored<RowInput, Object> scored = scorer.next();
        if (scored.error() != null) {
          throw new IllegalStateException(scored.error().toString());
        }
        results.add(scored.result());
      }
    }
    return results;
  }

  /** Writes the results where the peer looks for them. */
  private void keep(
      String task,
      TaskDefinition definition,
      LoadedModel model,
      OptionValues options,
      List<Object> results)
      throws IOException {
    Path out = Files.createDirectories(folder.resolve(task).resolve("lakegen"));
    @SuppressWarnings("unchecked") // as above
    Task<Object, Object> opened =
        (Task<Object, Object>) definition.open(model, options, new Budget(budget(task)));
    List<Object> values = new ArrayList<>();
    for (int i = 0; i < results.size(); i++) {
      Object value = opened.values(results.get(i)).get(0).get(0);
      if (task.equals("render")) {
        Files.write(out.resolve(i + ".png"), (byte[]) value);
        float[] noise =
            NoiseSource.of(i, 0).draw(NoiseSource.START, 4 * size("side") * size("side") / 64);
        ByteBuffer bytes =
            ByteBuffer.allocate(noise.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(noise);
        Files.write(out.resolve(i + ".noise"), bytes.array());
      } else {
        values.add(value);
      }
    }
    // Vectors of thousands of texts are large, and some tell as much as all.
    int kept = task.equals("embed") ? Math.min(1000, values.size()) : values.size();
    new ObjectMapper().writeValue(out.resolve("values.json").toFile(), values.subList(0, kept));
  }
}
