package io.lakegen.jobs;

import static org.apache.spark.sql.functions.lit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.cli.Main;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Runs jobs in the tests' JVM, all in one Spark session of two slots. */
public final class TestJobs {
  public static final Path MINILM = Path.of("target/packs/all-MiniLM-L6-v2").toAbsolutePath();

  private static SparkSession spark;

  private TestJobs() {}

  /** What a call of the command line did. */
  public record Result(int status, String out, String err) {}

  public static synchronized SparkSession spark() {
    if (spark == null || spark.sparkContext().isStopped()) {
      spark =
          SparkSession.builder()
              .master("local[2]")
              .appName("lakegen tests")
              .config("spark.ui.enabled", "false")
              .config("spark.sql.shuffle.partitions", "2")
              .getOrCreate();
    }
    return spark;
  }

  /** Stops the session, whoever made it, so that a test can have one with other settings. */
  public static synchronized void stop() {
    if (SparkSession.getDefaultSession().isDefined()) {
      SparkSession.getDefaultSession().get().stop();
    }
    spark = null;
  }

  public static Result run(Object... args) {
    spark();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    String[] words = java.util.Arrays.stream(args).map(String::valueOf).toArray(String[]::new);
    int status =
        Main.run(
            words,
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    return new Result(
        status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** The good rows of an output. */
  public static Dataset<Row> rows(Object output) {
    return spark().read().parquet(output.toString());
  }

  /** Its error rows, if there are any. */
  public static Optional<Dataset<Row>> errors(Object output) {
    Path errors = Path.of(output.toString(), "_errors");
    return Files.exists(errors)
        ? Optional.of(spark().read().parquet(errors.toString()))
        : Optional.empty();
  }

  /** Good and error rows; the column {@code error} is null in good ones. */
  public static Dataset<Row> outcomes(Object output) {
    StructType error =
        new StructType()
            .add("stage", DataTypes.StringType)
            .add("type", DataTypes.StringType)
            .add("message", DataTypes.StringType)
            .add("file", DataTypes.StringType);
    return errors(output)
        .map(errors -> rows(output).unionByName(errors, true))
        .orElseGet(() -> rows(output).withColumn("error", lit(null).cast(error)));
  }

  /** The entries of an output's log. */
  public static List<JsonNode> commits(Object output) {
    try (Stream<Path> files = Files.list(Path.of(output.toString(), "_lakegen/commits"))) {
      List<JsonNode> commits = new ArrayList<>();
      for (Path file : files.filter(f -> f.toString().endsWith(".json.gz")).sorted().toList()) {
        try (InputStream in = new GZIPInputStream(Files.newInputStream(file))) {
          commits.add(new ObjectMapper().readTree(in));
        }
      }
      return commits;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
