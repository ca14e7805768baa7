package io.lakegen.jobs.run;

import io.lakegen.problem.Problems;
import java.util.Map;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.RuntimeConfig;

/**
 * What a Spark session needs for {@code s3a://}: a committer that does not rename, and no secrets
 * in logs and user interface.
 */
public final class ObjectStores {
  private static final String S3A_CLASS = "org.apache.hadoop.fs.s3a.S3AFileSystem";
  private static final String PROTOCOL_KEY = "spark.sql.sources.commitProtocolClass";
  private static final String PROTOCOL =
      "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol";
  private static final String PARQUET_COMMITTER_KEY = "spark.sql.parquet.output.committer.class";
  private static final String PARQUET_COMMITTER =
      "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter";
  private static final String COMMITTER_KEY = "spark.hadoop.fs.s3a.committer.name";
  private static final String REDACTION_KEY = "spark.redaction.regex";

  /**
   * Spark's own words, and the keys of S3A, Azure and the environment that they do not cover:
   * {@code fs.s3a.encryption.key}, {@code fs.azure.account.key.*}, {@code AWS_ACCESS_KEY_ID}.
   */
  private static final String SECRETS =
      "(?i)secret|password|token|access[._]?key|session[._]?key|encryption[._](key|context)"
          + "|account[._]key|private[._]key|credentials?[._]json";

  private ObjectStores() {}

  /** Adds the settings that the user has not set, before the session is made. */
  public static void configure(SparkConf conf) {
    if (present(PROTOCOL) && present(PARQUET_COMMITTER)) {
      // Spark asks the file system for its committer only through these two; without them it
      // renames, which on S3 is a copy of every byte and not atomic. Elsewhere they change nothing.
      conf.setIfMissing(PROTOCOL_KEY, PROTOCOL);
      conf.setIfMissing(PARQUET_COMMITTER_KEY, PARQUET_COMMITTER);
    }
    conf.setIfMissing(
        "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a",
        "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory");
    // Tasks upload to the final names and leave the last request to the job's commit.
    conf.setIfMissing(COMMITTER_KEY, "magic");
    conf.setIfMissing("spark.hadoop.fs.s3a.committer.magic.enabled", "true");
    // A job's commit would abort the uploads of another chunk that is written to the same folder.
    // PendingUploads aborts those of dead runs instead.
    conf.setIfMissing("spark.hadoop.fs.s3a.committer.abort.pending.uploads", "false");
    conf.set(REDACTION_KEY, redaction(conf));
  }

  private static String redaction(SparkConf conf) {
    String users = conf.get(REDACTION_KEY, SECRETS);
    return users.contains(SECRETS) ? users : "(?:" + users + ")|" + SECRETS;
  }

  /**
   * Options of a write to the given folder: on S3A the write fails at its start if it would rename
   * after all. Not a setting of the session, where it would refuse HDFS and local folders, too.
   */
  static Map<String, String> writeOptions(Path output) {
    return isS3a(output) ? Map.of("pathoutputcommit.reject.fileoutput", "true") : Map.of();
  }

  /** Adds a problem if a session cannot write to the given folder safely. Touches no store. */
  static void check(Path output, RuntimeConfig conf, Problems problems) {
    if (isS3a(output)) {
      checkCommitter("output", output, conf, problems);
    }
  }

  /**
   * Adds a problem if a session would not commit to S3 as it should.
   *
   * @param key what needs it
   * @param value its value
   */
  static void checkCommitter(String key, Object value, RuntimeConfig conf, Problems problems) {
    if (!hasS3a()) {
      problems.add(
          key,
          value,
          "hadoop-aws on Spark's class path, of Spark's Hadoop version; for example"
              + " --packages org.apache.hadoop:hadoop-aws:3.4.2");
    } else if (!present(PROTOCOL) || !present(PARQUET_COMMITTER)) {
      problems.add(
          key,
          value,
          "spark-hadoop-cloud on Spark's class path, without which Spark commits to S3 by renaming;"
              + " for example --packages org.apache.spark:spark-hadoop-cloud_2.13:4.1.2");
    } else {
      expect(PROTOCOL_KEY, PROTOCOL, conf, problems);
      expect(PARQUET_COMMITTER_KEY, PARQUET_COMMITTER, conf, problems);
      if (conf.get(COMMITTER_KEY, "magic").equals("file")) {
        problems.add(COMMITTER_KEY, "file", "magic; file renames, which on S3 is not atomic");
      }
    }
  }

  /** Whether {@code s3a://} can be used at all. */
  static boolean hasS3a() {
    return present(S3A_CLASS);
  }

  private static void expect(String key, String value, RuntimeConfig conf, Problems problems) {
    String actual = conf.get(key, "Spark's default");
    if (!actual.equals(value)) {
      problems.add(key, actual, value + " for output on S3, set before the session is made");
    }
  }

  static boolean isS3a(Path path) {
    return "s3a".equals(path.toUri().getScheme());
  }

  /** As Spark looks for it: --packages come with the thread's class loader. */
  private static boolean present(String className) {
    ClassLoader loader = Thread.currentThread().getContextClassLoader();
    try {
      Class.forName(
          className, false, loader == null ? ObjectStores.class.getClassLoader() : loader);
      return true;
    } catch (ClassNotFoundException | LinkageError e) {
      return false;
    }
  }
}
