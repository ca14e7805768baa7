package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.S3Faults;
import io.lakegen.jobs.S3Faults.Kind;
import io.lakegen.jobs.S3Faults.Rule;
import io.lakegen.jobs.S3Server;
import io.lakegen.jobs.TestJobs;
import io.lakegen.model.PackStore;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.MultipartUploader;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.util.functional.FutureIO;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.execution.datasources.SQLHadoopMapReduceCommitProtocol;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class S3Test {
  private static final String ENCRYPTION_KEY = "k5encryptionlakegen0secret";

  @TempDir static java.nio.file.Path temp;

  private static S3Server server;
  private static SparkSession spark;
  private static FileSystem fs;

  @BeforeAll
  static void start() throws IOException {
    server = S3Server.start(temp.resolve("s3"));
    Files.createDirectories(temp.resolve("events"));
    // The session must be made with the settings: redaction and committers cannot come later.
    TestJobs.stop();
    SparkConf conf =
        new SparkConf()
            .setMaster("local[2]")
            .setAppName("s3")
            .set("spark.ui.enabled", "false")
            .set("spark.sql.shuffle.partitions", "2")
            .set("spark.eventLog.enabled", "true")
            .set("spark.eventLog.compress", "false")
            .set("spark.eventLog.dir", temp.resolve("events").toUri().toString())
            .set("spark.hadoop." + S3Faults.SETTING, S3Faults.class.getName())
            .set("spark.hadoop.fs.s3a.bucket.other.encryption.key", ENCRYPTION_KEY);
    server.sparkSettings().forEach(conf::set);
    ObjectStores.configure(conf);
    spark = SparkSession.builder().config(conf).getOrCreate();
    fs = new Path(server.uri("")).getFileSystem(hadoop());
  }

  @AfterAll
  static void stop() {
    TestJobs.stop();
    server.close();
  }

  @AfterEach
  void noFaults() {
    S3Faults.stop();
  }

  private static Configuration hadoop() {
    return spark.sparkContext().hadoopConfiguration();
  }

  private static void write(String path, String text) throws IOException {
    try (FSDataOutputStream out = fs.create(new Path(server.uri(path)))) {
      out.write(text.getBytes(StandardCharsets.UTF_8));
    }
  }

  private static String read(String path) throws IOException {
    try (InputStream in = fs.open(new Path(server.uri(path)))) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static void save(Dataset<Row> rows, String path) {
    Path output = new Path(server.uri(path));
    rows.write()
        .mode(SaveMode.Append)
        .options(ObjectStores.writeOptions(output))
        .parquet(output.toString());
  }

  @Test
  void parquetIsCommittedByTheMagicCommitter() throws IOException {
    save(spark.range(1000).toDF("id"), "magic/out");

    assertThat(read("magic/out/_SUCCESS")).containsPattern("\"committer\" ?: ?\"magic\"");
    assertThat(spark.read().parquet(server.uri("magic/out")).count()).isEqualTo(1000);
    assertThat(PendingUploads.count(fs, new Path(server.uri("magic")))).isZero();
    assertThat(fs.listStatus(new Path(server.uri("magic/out"))))
        .extracting(s -> s.getPath().getName())
        .allMatch(n -> n.equals("_SUCCESS") || n.startsWith("part-"));
  }

  @Test
  void anOutputOnS3PassesTheCheckAndALocalOneIsNotAsked() {
    Problems problems = new Problems();

    ObjectStores.check(new Path(server.uri("out")), spark.conf(), problems);
    ObjectStores.check(new Path("/tmp/out"), spark.conf(), problems);

    assertThat(problems.list()).isEmpty();
    assertThat(ObjectStores.writeOptions(new Path("/tmp/out"))).isEmpty();
  }

  @Test
  void aSessionThatWouldRenameIsRefused() {
    Problems problems = new Problems();
    SparkSession other = spark.newSession();
    String renames = SQLHadoopMapReduceCommitProtocol.class.getName();
    other.conf().set("spark.sql.sources.commitProtocolClass", renames);

    ObjectStores.check(new Path(server.uri("out")), other.conf(), problems);

    assertThat(problems.list())
        .singleElement()
        .extracting(Problem::toString)
        .asString()
        .contains("spark.sql.sources.commitProtocolClass: " + renames + " (expected: ")
        .contains("PathOutputCommitProtocol");
  }

  @Test
  void withoutSparkHadoopCloudTheCheckSaysWhatToAdd() {
    Thread thread = Thread.currentThread();
    ClassLoader loader = thread.getContextClassLoader();
    Problems problems = new Problems();
    try {
      thread.setContextClassLoader(
          new ClassLoader(loader) {
            @Override
            protected Class<?> loadClass(String name, boolean resolve)
                throws ClassNotFoundException {
              if (name.startsWith("org.apache.spark.internal.io.cloud.")) {
                throw new ClassNotFoundException(name);
              }
              return super.loadClass(name, resolve);
            }
          });
      ObjectStores.check(new Path(server.uri("out")), spark.conf(), problems);
    } finally {
      thread.setContextClassLoader(loader);
    }

    assertThat(problems.list())
        .singleElement()
        .extracting(Problem::toString)
        .asString()
        .contains("org.apache.spark:spark-hadoop-cloud_2.13");
  }

  @Test
  void inputsAreListedAndRead() throws IOException {
    write("input/a/1.txt", "one\ntwo\n");
    write("input/a/b/2.txt", "three\n");
    write("input/a/3.jsonl", "{\"text\": \"four\"}\n");
    save(spark.range(3).toDF("id"), "input/p");

    assertThat(texts(spark.read().text(server.uri("input/a/*.txt"))))
        .containsExactlyInAnyOrder("one", "two");
    assertThat(
            texts(
                spark
                    .read()
                    .option("recursiveFileLookup", true)
                    .option("pathGlobFilter", "*.txt")
                    .text(server.uri("input/a"))))
        .containsExactlyInAnyOrder("one", "two", "three");
    assertThat(texts(spark.read().json(server.uri("input/a/3.jsonl")))).containsExactly("four");
    assertThat(spark.read().parquet(server.uri("input/p")).count()).isEqualTo(3);
    assertThat(fs.globStatus(new Path(server.uri("input/a/*/*.txt")))).hasSize(1);
  }

  private static List<String> texts(Dataset<Row> rows) {
    return rows.collectAsList().stream().map(r -> r.getString(0)).toList();
  }

  @Test
  void aPackIsFetched() throws IOException {
    java.nio.file.Path pack =
        java.nio.file.Path.of("../sample-data/models/topics-distilbert").toAbsolutePath();
    Path remote = new Path(server.uri("packs/topics"));
    try (Stream<java.nio.file.Path> files = Files.list(pack)) {
      for (java.nio.file.Path file : files.toList()) {
        fs.copyFromLocalFile(
            new Path(file.toUri()), new Path(remote, file.getFileName().toString()));
      }
    }

    assertThat(new PackStore(temp.resolve("cache")).fetch(remote.toString(), hadoop()).spec())
        .isNotNull();
    assertThat(temp.resolve("cache")).isDirectoryRecursivelyContaining("glob:**/model.pt");
  }

  @Test
  void noSecretIsShown() throws IOException {
    spark.range(1).count();
    String settings =
        spark.sql("SET").collectAsList().toString()
            + spark.sql("SET -v").collectAsList()
            + spark.sparkContext().getConf().toDebugString();
    String events;
    try (Stream<java.nio.file.Path> files = Files.walk(temp.resolve("events"))) {
      events =
          files.filter(Files::isRegularFile).map(S3Test::text).collect(Collectors.joining("\n"));
    }
    assertThat(events).contains("fs.s3a.bucket.other.encryption.key");
    for (String secret : List.of(S3Server.SECRET_KEY, S3Server.ACCESS_KEY, ENCRYPTION_KEY)) {
      assertThat(settings).doesNotContain(secret);
      assertThat(events).doesNotContain(secret);
    }
  }

  private static String text(java.nio.file.Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void theUsersSettingsWinAndTheirRedactionIsExtended() {
    SparkConf conf = new SparkConf(false);
    conf.set("spark.hadoop.fs.s3a.committer.name", "directory");
    conf.set("spark.redaction.regex", "(?i)mine");

    ObjectStores.configure(conf);
    ObjectStores.configure(conf);

    assertThat(conf.get("spark.hadoop.fs.s3a.committer.name")).isEqualTo("directory");
    java.util.regex.Pattern redaction =
        java.util.regex.Pattern.compile(conf.get("spark.redaction.regex"));
    assertThat(
            List.of(
                "spark.Mine",
                "fs.s3a.encryption.key",
                "fs.s3a.access.key",
                "fs.s3a.secret.key",
                "fs.s3a.session.token",
                "fs.azure.account.key.x",
                "AWS_ACCESS_KEY_ID"))
        .allMatch(k -> redaction.matcher(k).find());
    assertThat(redaction.matcher("fs.s3a.endpoint").find()).isFalse();
  }

  @Test
  void pendingUploadsOfAFolderAreAbortedAndNoOthers() throws IOException {
    Path folder = new Path(server.uri("pending/out"));
    Path neighbour = new Path(server.uri("pending/out2"));
    begin(new Path(folder, "a/part-1"));
    begin(new Path(folder, "part-2"));
    begin(new Path(neighbour, "part-3"));
    assertThat(PendingUploads.count(fs, folder)).isEqualTo(2);

    PendingUploads.abort(fs, folder);

    assertThat(PendingUploads.count(fs, folder)).isZero();
    assertThat(PendingUploads.count(fs, neighbour)).isEqualTo(1);
    PendingUploads.abort(fs, neighbour);
    FileSystem local = FileSystem.getLocal(new Configuration());
    PendingUploads.abort(local, new Path(temp.toUri()));
    assertThat(PendingUploads.count(local, new Path(temp.toUri()))).isZero();
  }

  private static void begin(Path path) throws IOException {
    try (MultipartUploader uploader = fs.createMultipartUploader(path.getParent()).build()) {
      FutureIO.awaitFuture(uploader.startUpload(path));
    }
  }

  @Test
  void aCreationThatIsReportedAsFailedCountsOnce() throws IOException {
    Path path = new Path(server.uri("faults/manifest.json"));
    S3Faults.plan(1, new Rule("PutObject", Kind.DONE, 500, 1, 2));

    assertThat(ExclusiveFile.create(fs, path, "mine".getBytes(StandardCharsets.UTF_8))).isTrue();

    assertThat(S3Faults.injected()).containsKey("PutObject DONE 500");
    S3Faults.stop();
    assertThat(read("faults/manifest.json")).isEqualTo("mine");
    assertThat(ExclusiveFile.create(fs, path, "other".getBytes(StandardCharsets.UTF_8))).isFalse();
  }

  @Test
  void aWriteOutlivesFaults() throws IOException {
    S3Faults.plan(
        7,
        new Rule("PutObject", Kind.REFUSED, 503, 0.2, 20),
        new Rule("PutObject", Kind.DONE, 500, 0.2, 20),
        new Rule("UploadPart", Kind.REFUSED, 503, 0.3, 20),
        new Rule("UploadPart", Kind.DONE, 500, 0.3, 20),
        new Rule("CompleteMultipartUpload", Kind.REFUSED, 503, 0.5, 5));

    save(spark.range(0, 2000, 1, 4).toDF("id"), "faults/out");

    assertThat(S3Faults.injected()).isNotEmpty();
    S3Faults.stop();
    assertThat(spark.read().parquet(server.uri("faults/out")).distinct().count()).isEqualTo(2000);
    assertThat(PendingUploads.count(fs, new Path(server.uri("faults/out")))).isZero();
  }
}
