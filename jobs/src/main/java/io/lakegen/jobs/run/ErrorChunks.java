package io.lakegen.jobs.run;

import io.lakegen.jobs.input.Address;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.SparkSession;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Chunks with error rows that can be tried again: the files of these rows are as they were. */
final class ErrorChunks {
  private static final Logger LOG = LoggerFactory.getLogger(ErrorChunks.class);

  /** Chunks whose rows are tried again together, so that few errors are few Spark jobs. */
  private static final int GROUP = 50;

  private final SparkSession spark;
  private final RunOutput output;
  private final List<Commit> chunks = new ArrayList<>();
  private final Map<String, List<Address>> ranges = new HashMap<>();

  private ErrorChunks(SparkSession spark, RunOutput output) {
    this.spark = spark;
    this.output = output;
  }

  static ErrorChunks find(SparkSession spark, Job job) throws IOException {
    ErrorChunks found = new ErrorChunks(spark, job.output());
    Set<String> retried = job.output().log().retried();
    for (Commit chunk : job.output().log().chunks()) {
      if (chunk.counts().failed() > 0 && !retried.contains(chunk.id())) {
        found.add(chunk);
      }
    }
    return found;
  }

  private void add(Commit chunk) throws IOException {
    Set<String> files =
        new HashSet<>(
            errors(List.of(chunk))
                .select("error.file")
                .distinct()
                .as(Encoders.STRING())
                .collectAsList());
    List<Address> read = new ArrayList<>();
    for (Address range : rangesOf(chunk)) {
      if (files.contains(range.path())) {
        if (!isThere(range)) {
          LOG.warn(
              "{} error rows of chunk {} stay: {} is not the file it was",
              chunk.counts().failed(),
              chunk.id(),
              range.path());
          return;
        }
        read.add(range);
      }
    }
    chunks.add(chunk);
    ranges.put(chunk.id(), read);
  }

  /** A chunk that tried rows again covers nothing itself. */
  private List<Address> rangesOf(Commit chunk) throws IOException {
    List<Address> all = new ArrayList<>(output.log().ranges(chunk));
    for (Commit earlier : output.log().chunks()) {
      if (chunk.retries().contains(earlier.id())) {
        all.addAll(rangesOf(earlier));
      }
    }
    return all;
  }

  private boolean isThere(Address range) throws IOException {
    Path path = new Path(range.path());
    try {
      FileStatus now =
          path.getFileSystem(spark.sparkContext().hadoopConfiguration()).getFileStatus(path);
      return Address.of(now).isSameFile(range);
    } catch (FileNotFoundException e) {
      return false;
    }
  }

  /** Error rows in all. */
  long rows() {
    return chunks.stream().mapToLong(c -> c.counts().failed()).sum();
  }

  List<List<Commit>> groups() {
    List<List<Commit>> groups = new ArrayList<>();
    for (int from = 0; from < chunks.size(); from += GROUP) {
      groups.add(chunks.subList(from, Math.min(chunks.size(), from + GROUP)));
    }
    return groups;
  }

  /** Where the error rows of chunks stand. */
  List<Address> ranges(List<Commit> some) {
    return some.stream().flatMap(c -> ranges.get(c.id()).stream()).distinct().toList();
  }

  /** The error rows of chunks. */
  Dataset<Row> errors(List<Commit> some) {
    String[] folders =
        some.stream()
            .map(c -> new Path(output.root(), RunOutput.errors(c.runId(), c.chunk())).toString())
            .toArray(String[]::new);
    return spark.read().option("mergeSchema", "true").parquet(folders);
  }
}
