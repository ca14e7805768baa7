package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.jobs.S3Faults;
import io.lakegen.jobs.S3Faults.Kind;
import io.lakegen.jobs.S3Faults.Rule;
import io.lakegen.jobs.S3Server;
import io.lakegen.jobs.TestJobs;
import java.io.IOException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Jobs on S3, with faults of the store and without. */
class S3JobTest extends FileSystemContract {
  @TempDir static java.nio.file.Path temp;

  private static S3Server server;
  private static SparkSession spark;
  private static FileSystem fs;

  @BeforeAll
  static void start() throws IOException {
    server = S3Server.start(temp.resolve("s3"));
    // The session must be made with the settings: committers cannot come later.
    TestJobs.stop();
    SparkConf conf =
        new SparkConf()
            .setMaster("local[2,2]")
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

  @Override
  String uri(String path) {
    return server.uri(path);
  }

  @Override
  SparkSession spark() {
    return spark;
  }

  @Override
  FileSystem fileSystem() {
    return fs;
  }

  @AfterEach
  void noFaults() {
    S3Faults.stop();
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
    S3Faults.stop();
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
