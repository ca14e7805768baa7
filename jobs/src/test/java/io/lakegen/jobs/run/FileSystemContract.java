package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.spark.ExecutorModels;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What jobs promise on every file system. The model pack stands in {@code uri("pack")}. */
abstract class FileSystemContract {
  private static final int ROWS = 300;

  private static int tests;

  private String folder;

  abstract String uri(String path);

  abstract SparkSession spark();

  abstract FileSystem fileSystem();

  @BeforeEach
  void newFolder() throws IOException {
    LengthTask.BROKEN.clear();
    LengthTask.healed = false;
    ExecutorModels.close();
    folder = "test" + ++tests;
    try (OutputStream out = fileSystem().create(new Path(uri(folder + "/in/a.txt")))) {
      out.write((String.join("\n", texts()) + "\n").getBytes(StandardCharsets.UTF_8));
    }
  }

  private static List<String> texts() {
    return IntStream.range(0, ROWS)
        .mapToObj(i -> "text " + i + (i % 50 == 3 ? " bad" : ""))
        .toList();
  }

  JobSpec spec() {
    return JobSpec.of(new LengthTask())
        .with(JobOptions.INPUT, List.of(uri(folder + "/in")))
        .with(JobOptions.MODEL, uri("pack"))
        .with(JobOptions.OUTPUT, uri(folder + "/out"))
        .with(JobOptions.COMMIT_EVERY, CommitEvery.parse("120"));
  }

  RunSummary run(JobSpec spec) throws IOException {
    return Jobs.run(spark(), spec, System.err);
  }

  private static List<String> texts(Dataset<Row> rows) {
    return rows.select("text").collectAsList().stream().map(r -> r.getString(0)).toList();
  }

  void assertHolds() throws IOException {
    List<String> all = new ArrayList<>(texts(spark().read().parquet(uri(folder + "/out"))));
    assertThat(all).noneMatch(t -> t.contains("bad"));
    all.addAll(texts(spark().read().parquet(uri(folder + "/out/_errors"))));
    assertThat(all).containsExactlyInAnyOrderElementsOf(texts());
    assertThat(PendingUploads.count(fileSystem(), new Path(uri(folder)))).isZero();
    RemoteIterator<LocatedFileStatus> own =
        fileSystem().listFiles(new Path(uri(folder + "/out/_lakegen")), true);
    while (own.hasNext()) {
      assertThat(own.next().getPath().toString()).contains("/_lakegen/commits/");
    }
  }

  @Test
  void aJobRunsAndIsGoneOnWithOverwrittenAndRetried() throws IOException {
    assertThat(run(spec()).ok()).isEqualTo(294);
    assertHolds();
    assertThat(run(spec()).skipped()).isEqualTo(ROWS);
    RunSummary other = run(spec().with(LengthTask.FACTOR, 2).with(JobOptions.MODE, Mode.overwrite));
    assertThat(other.ok()).isEqualTo(294);
    assertHolds();
    LengthTask.healed = true;
    assertThat(run(spec().with(LengthTask.FACTOR, 2).with(JobOptions.RETRY_ERRORS, true)).ok())
        .isEqualTo(6);
    assertThat(texts(spark().read().parquet(uri(folder + "/out"))))
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
}
