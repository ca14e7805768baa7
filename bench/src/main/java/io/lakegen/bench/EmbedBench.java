package io.lakegen.bench;

import ai.djl.Device;
import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.encoder.TextEncoderTask.Tokens;
import io.lakegen.jobs.run.JobOptions;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.jobs.run.Jobs;
import io.lakegen.jobs.run.RunSummary;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.spark.ExecutorModels;
import io.lakegen.task.RowInput;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.embed.TextEmbedder;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * What the embed job costs beside the engine alone and, on a tenth of the corpus, beside a naive
 * {@code mapPartitions}, on one corpus, in one JVM, in turns; in float32, bfloat16 and int8 beside
 * sentence-transformers and OpenVINO (see {@code bench/embed_peers.py}); and the way of a row
 * without a model. {@code ./lakegen bench embed [CORPUS.jsonl]}. With a heap of fixed size ({@code
 * LAKEGEN_JAVA_OPTS="-Xms1g -Xmx1g -XX:+AlwaysPreTouch"}) the memory figures tell native memory
 * from garbage.
 */
public final class EmbedBench {
  private static final String MODEL =
      Path.of("jobs/target/packs/all-MiniLM-L6-v2").toAbsolutePath().toString();

  private static final String INT8_MODEL = MODEL + "-int8";
  private static final Path PEERS = Path.of(".lakegen/bench/embed-peers").toAbsolutePath();

  /** As many as leave the whole, peers included, under ten minutes. */
  private static final int TEXTS = 3000;

  /** The part of the corpus that the naive run has. */
  private static final int NAIVE_PART = 10;

  /** Chunks of fifteen seconds, where jobs by default have some of five minutes. */
  private static final String IN_CHUNKS = "30s";

  private static final String IN_ONE = "1000000000";

  /** Enough for the batch budget to be decided. */
  private static final String WARM_ROWS = "1500";

  private static final int NAIVE_BATCH = 32;
  private static final int GENERATED_ROWS = 1_000_000;
  private static final int CORES = Runtime.getRuntime().availableProcessors();

  private final SparkSession spark;
  private final Path folder = Path.of(".lakegen/bench/embed").toAbsolutePath();
  private final Report report = new Report("embed");

  private EmbedBench(SparkSession spark) {
    this.spark = spark;
  }

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    SparkSession spark =
        LocalJob.session("local[*]").config("spark.executor.heartbeatInterval", "2s").getOrCreate();
    Path corpus = args.length > 0 ? Path.of(args[0]) : some(Path.of(".lakegen/bench/texts.jsonl"));
    new EmbedBench(spark).run(corpus.toAbsolutePath());
    spark.stop();
    ExecutorModels.close();
  }

  private static Path some(Path texts) throws IOException {
    return Files.write(
        texts.resolveSibling("embed-texts.jsonl"), Files.readAllLines(texts).subList(0, TEXTS));
  }

  private void run(Path corpus) throws Exception {
    delete(folder);
    Files.createDirectories(folder);
    List<String> texts =
        spark.read().json(corpus.toString()).select("text").as(Encoders.STRING()).collectAsList();
    System.out.printf("embed: %,d texts of %s%n", texts.size(), corpus);
    ModelPack pack = PackStore.ofNode().fetch(MODEL, new Configuration());
    try (LoadedModel model = LoadedModel.load(pack, Device.cpu(), 1)) {
      TextEmbedder embedder = new TextEmbedder(model);
      // A first round on a tenth of the corpus warms all three up.
      engine(embedder, texts.subList(0, texts.size() / 10));
      double cpu = Spent.processorSeconds();
      double engine = texts.size() / engine(embedder, texts);
      double engineCpu = Spent.processorSeconds() - cpu;
      report.figure("engine_rows_per_second", engine);
      // Loading the model is a cost of the JVM, not of the rows: a short run before does it.
      lakegen(corpus, MODEL, "warm", "--limit", WARM_ROWS);
      double whole = job(corpus, MODEL, "whole", "--commit-every", IN_ONE);
      cpu = Spent.processorSeconds();
      double job = texts.size() / job(corpus, MODEL, "job", "--commit-every", IN_CHUNKS);
      report.figure("job_over_engine_cpu_seconds", (Spent.processorSeconds() - cpu) / engineCpu);
      report.figure("job_rows_per_second", job);
      double again = job(corpus, MODEL, "job-again", "--commit-every", IN_CHUNKS);
      whole += job(corpus, MODEL, "whole-again", "--commit-every", IN_ONE);
      report.figure("chunks_over_one_chunk", whole / (texts.size() / job + again));
      List<String> some = texts.subList(0, texts.size() / NAIVE_PART);
      double naive = some.size() / naive(some, embedder);
      report.figure("naive_rows_per_second", naive);
      // The machine's speed drifts: the engine is measured on both sides of what it is compared
      // with.
      double engineAgain = texts.size() / engine(embedder, texts);
      report.figure("engine_again_rows_per_second", engineAgain);
      report.figure("job_over_engine", job / ((engine + engineAgain) / 2));
      report.figure("job_over_naive", job / naive);
      report.figure("embed_peak_rss_mb", Report.memory("VmHWM"));
    }
    peers(corpus, texts.size());
    identity();
    report.figure("peak_rss_mb", Report.memory("VmHWM"));
    report.print();
  }

  /**
   * The engine alone: texts tokenised, sorted as a whole, cut into batches and inferred on as many
   * threads as the job has.
   */
  private static double engine(TextEmbedder embedder, List<String> texts) throws Exception {
    long start = System.nanoTime();
    ExecutorService threads = Executors.newFixedThreadPool(CORES);
    try {
      List<Callable<List<Tokens>>> parts = new ArrayList<>();
      int part = texts.size() / CORES + 1;
      for (int from = 0; from < texts.size(); from += part) {
        List<String> some = texts.subList(from, Math.min(texts.size(), from + part));
        parts.add(
            () -> {
              List<Tokens> tokens = new ArrayList<>();
              for (String text : some) {
                tokens.add(embedder.prepare(input(text)));
              }
              return tokens;
            });
      }
      List<Tokens> all = new ArrayList<>();
      for (Future<List<Tokens>> tokens : threads.invokeAll(parts)) {
        all.addAll(tokens.get());
      }
      all.sort(Comparator.comparingInt(embedder::cost).reversed());
      Queue<List<Tokens>> batches = new ConcurrentLinkedQueue<>();
      long budget = new Embed().data().budget().cpu();
      for (int from = 0; from < all.size(); ) {
        int to =
            Math.min(all.size(), from + (int) Math.max(1, budget / embedder.cost(all.get(from))));
        batches.add(all.subList(from, to));
        from = to;
      }
      List<Callable<Integer>> workers = new ArrayList<>();
      for (int i = 0; i < CORES; i++) {
        workers.add(
            () -> {
              int rows = 0;
              for (List<Tokens> batch = batches.poll(); batch != null; batch = batches.poll()) {
                rows += embedder.infer(batch).size();
              }
              return rows;
            });
      }
      int rows = 0;
      for (Future<Integer> done : threads.invokeAll(workers)) {
        rows += done.get();
      }
      if (rows != texts.size()) {
        throw new IllegalStateException(rows + " rows (expected: " + texts.size() + ")");
      }
    } finally {
      threads.shutdown();
    }
    return (System.nanoTime() - start) / 1e9;
  }

  /** Seconds of a job. */
  private double job(Path corpus, String model, String output, String... more) {
    long start = System.nanoTime();
    lakegen(corpus, model, output, more);
    return (System.nanoTime() - start) / 1e9;
  }

  private void lakegen(Path corpus, String model, String output, String... more) {
    List<String> args =
        new ArrayList<>(
            List.of(
                "embed",
                "--input",
                corpus.toString(),
                "--model",
                model,
                "--output",
                folder + "/" + output));
    args.addAll(List.of(more));
    LocalJob.run(args.toArray(String[]::new));
  }

  /**
   * The job beside others' libraries in one precision each, without anyone's start-up: a run before
   * loads the model and decides the batch budget, as the peers' batches are chosen before they are
   * measured, and what a job over one row takes is taken off. They are measured on both sides of
   * the job, as the engine is.
   */
  private void peers(Path corpus, int rows) throws Exception {
    Map<String, String> models = new LinkedHashMap<>();
    models.put("float32", MODEL);
    models.put("bfloat16", PEERS.resolve("pack-bfloat16").toString());
    models.put("int8", INT8_MODEL);
    try (Peer peers =
        Peer.open(
            "bench/embed_peers.py",
            "time",
            PEERS.toString(),
            MODEL,
            corpus.toString(),
            Integer.toString(CORES))) {
      for (Map.Entry<String, String> model : models.entrySet()) {
        String dtype = model.getKey();
        lakegen(corpus, model.getValue(), "warm-" + dtype, "--limit", WARM_ROWS);
        JsonNode before = peers.ask(dtype);
        double startUp = job(corpus, model.getValue(), "one-" + dtype, "--limit", "1");
        double whole = job(corpus, model.getValue(), "job-" + dtype, "--commit-every", IN_ONE);
        double job = rows / (whole - startUp);
        JsonNode after = peers.ask(dtype);
        report.figure("job_" + dtype + "_rows_per_second", job);
        for (String peer : List.of("sentence_transformers", "openvino")) {
          if (before.has(peer)) {
            double theirs = (before.path(peer).asDouble() + after.path(peer).asDouble()) / 2;
            report.figure(peer + "_" + dtype + "_rows_per_second", theirs);
            report.figure("job_over_" + peer + "_" + dtype, job / theirs);
          }
        }
      }
    }
  }

  /**
   * The way of DJL's Spark extension: batches of a fixed size in the input's order, padded to their
   * longest row. It shares the loaded model and has a partition for every core, so that nothing but
   * the batching differs.
   */
  private double naive(List<String> texts, TextEmbedder embedder) {
    Dataset<Row> rows =
        spark.createDataset(texts, Encoders.STRING()).toDF("text").repartition(CORES);
    long start = System.nanoTime();
    Naive.embedder = embedder;
    StructType schema =
        rows.schema().add("embedding", DataTypes.createArrayType(DataTypes.FloatType, false));
    rows.mapPartitions(new Naive(rows.schema().fieldIndex("text")), Encoders.row(schema))
        .write()
        .option("parquet.enable.dictionary#embedding.list.element", "false")
        .parquet(folder + "/naive");
    return (System.nanoTime() - start) / 1e9;
  }

  private record Naive(int text) implements MapPartitionsFunction<Row, Row> {
    private static volatile TextEmbedder embedder;

    @Override
    public Iterator<Row> call(Iterator<Row> rows) {
      return new Iterator<>() {
        private Iterator<Row> done = List.<Row>of().iterator();

        @Override
        public boolean hasNext() {
          return done.hasNext() || rows.hasNext();
        }

        @Override
        public Row next() {
          if (!done.hasNext()) {
            done = batch().iterator();
          }
          return done.next();
        }

        private List<Row> batch() {
          List<Row> inputs = new ArrayList<>();
          List<Tokens> tokens = new ArrayList<>();
          while (inputs.size() < NAIVE_BATCH && rows.hasNext()) {
            Row row = rows.next();
            inputs.add(row);
            try {
              tokens.add(embedder.prepare(input(row.getString(text))));
            } catch (io.lakegen.task.RowException e) {
              throw new IllegalStateException(e);
            }
          }
          List<TextEmbedder.Embedding> vectors = embedder.infer(tokens);
          List<Row> outputs = new ArrayList<>();
          for (int i = 0; i < inputs.size(); i++) {
            Object[] values = new Object[inputs.get(i).size() + 1];
            for (int c = 0; c < values.length - 1; c++) {
              values[c] = inputs.get(i).get(c);
            }
            values[values.length - 1] = vectors.get(i).vector();
            outputs.add(RowFactory.create(values));
          }
          return outputs;
        }
      };
    }
  }

  /** A million short rows through everything but a model, with the memory it takes once warm. */
  private void identity() throws Exception {
    Path input = folder.resolve("generated.txt");
    try (BufferedWriter out = Files.newBufferedWriter(input)) {
      for (int i = 0; i < GENERATED_ROWS; i++) {
        out.write("generated row " + i + " of a short text\n");
      }
    }
    AtomicBoolean running = new AtomicBoolean(true);
    List<Double> memory = new ArrayList<>();
    Thread sampler =
        new Thread(
            () -> {
              while (running.get()) {
                memory.add(Report.memory("VmRSS"));
                try {
                  Thread.sleep(500);
                } catch (InterruptedException e) {
                  return;
                }
              }
            });
    identity(input, "identity-warm");
    sampler.start();
    double rate = identity(input, "identity");
    running.set(false);
    sampler.join();
    report.figure("identity_rows_per_second", rate);
    int quarter = memory.size() / 4;
    double early =
        memory.subList(0, Math.max(1, quarter)).stream().mapToDouble(m -> m).max().orElse(0);
    double late =
        memory.subList(memory.size() - Math.max(1, quarter), memory.size()).stream()
            .mapToDouble(m -> m)
            .max()
            .orElse(0);
    report.figure("identity_rss_first_quarter_mb", early);
    report.figure("identity_rss_last_quarter_mb", late);
  }

  /** Rows in a second of wall-clock time, from counting to the committed manifest. */
  private double identity(Path input, String output) throws IOException {
    RunSummary summary =
        Jobs.run(
            spark,
            JobSpec.of(new IdentityRows())
                .with(JobOptions.INPUT, List.of(input.toString()))
                .with(JobOptions.MODEL, MODEL)
                .with(JobOptions.OUTPUT, folder + "/" + output),
            System.err);
    summary.lines().forEach(line -> System.out.println("  " + line));
    return summary.input() / summary.seconds();
  }

  private static RowInput input(String text) {
    byte[][] values = {text.getBytes(StandardCharsets.UTF_8)};
    return RowInput.of(List.of("text"), values, 0);
  }

  private static void delete(Path folder) throws IOException {
    if (Files.exists(folder)) {
      try (var files = Files.walk(folder)) {
        for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(path);
        }
      }
    }
  }
}
