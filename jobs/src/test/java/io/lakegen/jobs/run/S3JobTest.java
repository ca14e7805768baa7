package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.jobs.S3Faults;
import io.lakegen.jobs.S3Faults.Kind;
import io.lakegen.jobs.S3Faults.Rule;
import io.lakegen.jobs.S3Server;
import io.lakegen.jobs.TestJobs;
import io.lakegen.spark.ExecutorModels;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Jobs whose input, model pack and output are on S3, with faults and without. */
class S3JobTest {
  private static final int ROWS = 300;

  @TempDir static java.nio.file.Path temp;

  private static S3Server server;
  private static SparkSession spark;
  private static FileSystem fs;
  private static int tests;

  private String folder;

  @BeforeAll
  static void start() throws IOException {
    server = S3Server.start(temp.resolve("s3"));
    // The session must be made with the settings: committers cannot come later.
    TestJobs.stop();
    SparkConf conf =
        new SparkConf()
            .setMaster("local[2,4]")
            .setAppName("s3")
            .set("spark.ui.enabled", "false")
            .set("spark.sql.shuffle.partitions", "2")
            // A store that is out of order for good should not be waited for.
            .set("spark.hadoop.fs.s3a.attempts.maximum", "2")
            .set("spark.hadoop." + S3Faults.SETTING, S3Faults.class.getName());
    server.sparkSettings().forEach(conf::set);
    ObjectStores.configure(conf);
    spark = SparkSession.builder().config(conf).getOrCreate();
    fs = new Path(server.uri("")).getFileSystem(spark.sparkContext().hadoopConfiguration());
    FileUtil.copy(
        FileSystem.getLocal(fs.getConf()),
        new Path(LengthMain.PACK.toString()),
        fs,
        new Path(server.uri("pack")),
        false,
        fs.getConf());
  }

  @AfterAll
  static void stop() {
    TestJobs.stop();
    server.close();
  }

  @BeforeEach
  void newFolder(TestInfo info) throws IOException {
    LengthTask.BROKEN.clear();
    LengthTask.healed = false;
    ExecutorModels.close();
    S3Faults.stop();
    folder = "test" + ++tests;
    try (OutputStream out = fs.create(new Path(server.uri(folder + "/in/a.txt")))) {
      out.write((String.join("\n", texts()) + "\n").getBytes(StandardCharsets.UTF_8));
    }
  }

  private static List<String> texts() {
    return IntStream.range(0, ROWS)
        .mapToObj(i -> "text " + i + (i % 50 == 3 ? " bad" : ""))
        .toList();
  }

  private JobSpec spec() {
    return JobSpec.of(new LengthTask())
        .with(JobOptions.INPUT, List.of(server.uri(folder + "/in")))
        .with(JobOptions.MODEL, server.uri("pack"))
        .with(JobOptions.OUTPUT, server.uri(folder + "/out"))
        .with(JobOptions.COMMIT_EVERY, CommitEvery.parse("120"));
  }

  private RunSummary run(JobSpec spec) throws IOException {
    return Jobs.run(spark, spec, System.err);
  }

  private static List<String> texts(Dataset<Row> rows) {
    return rows.select("text").collectAsList().stream().map(r -> r.getString(0)).toList();
  }

  private void assertHolds() throws IOException {
    S3Faults.stop();
    List<String> all = new ArrayList<>(texts(spark.read().parquet(server.uri(folder + "/out"))));
    assertThat(all).noneMatch(t -> t.contains("bad"));
    all.addAll(texts(spark.read().parquet(server.uri(folder + "/out/_errors"))));
    assertThat(all).containsExactlyInAnyOrderElementsOf(texts());
    assertThat(PendingUploads.count(fs, new Path(server.uri(folder)))).isZero();
    List<String> own = new ArrayList<>();
    for (FileStatus file : fs.listStatus(new Path(server.uri(folder + "/out/_lakegen")))) {
      own.add(file.getPath().getName());
    }
    assertThat(own).containsExactly("commits");
  }

  @Test
  void everythingOnS3() throws IOException {
    assertThat(run(spec()).ok()).isEqualTo(294);
    assertHolds();
    assertThat(run(spec()).skipped()).isEqualTo(ROWS);
    RunSummary other = run(spec().with(LengthTask.FACTOR, 2).with(JobOptions.MODE, Mode.overwrite));
    assertThat(other.ok()).isEqualTo(294);
    assertHolds();
    LengthTask.healed = true;
    assertThat(run(spec().with(LengthTask.FACTOR, 2).with(JobOptions.RETRY_ERRORS, true)).ok())
        .isEqualTo(6);
    assertThat(texts(spark.read().parquet(server.uri(folder + "/out"))))
        .containsExactlyInAnyOrderElementsOf(texts());
  }

  @Test
  void aRunThatDiedIsGoneOnWith() throws IOException {
    LengthTask.BROKEN.add("text 200");
    assertThatThrownBy(() -> run(spec())).hasStackTraceContaining("golden inputs fail");
    LengthTask.BROKEN.clear();
    ExecutorModels.close();
    RunSummary second = run(spec());
    assertThat(second.skipped()).isPositive();
    assertHolds();
  }

  /** The SDK repeats what fails now and then: the job must not notice, and nothing come twice. */
  @ParameterizedTest
  @CsvSource({
    "UploadPart, REFUSED, 503", "UploadPart, DONE, 500", "CompleteMultipartUpload, REFUSED, 503",
    "CompleteMultipartUpload, DONE, 500", "PutObject, REFUSED, 500", "PutObject, DONE, 500"
  })
  void passingFaultsChangeNothing(String operation, Kind kind, int status) throws IOException {
    long seed = Long.getLong("lakegen.seed", System.nanoTime());
    System.err.println(operation + " " + kind + " " + status + ": -Dlakegen.seed=" + seed);
    S3Faults.plan(seed, new Rule(operation, kind, status, 0.4, Integer.MAX_VALUE));
    assertThat(run(spec()).ok()).isEqualTo(294);
    assertThat(S3Faults.injected()).isNotEmpty();
    assertHolds();
  }

  /** A store that is out of order for good ends the run; the next one does what is left. */
  @ParameterizedTest
  @CsvSource({"UploadPart", "CompleteMultipartUpload"})
  void lastingFaultsEndTheRunAndTheNextOneGoesOn(String operation) throws IOException {
    S3Faults.plan(1, new Rule(operation, Kind.REFUSED, 500, 1, Integer.MAX_VALUE));
    assertThatThrownBy(() -> run(spec())).isInstanceOf(Exception.class);
    S3Faults.stop();
    assertThat(run(spec()).ok() + run(spec()).skipped()).isPositive();
    assertHolds();
  }
}
