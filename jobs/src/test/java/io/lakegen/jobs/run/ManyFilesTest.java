package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.input.Address;
import io.lakegen.jobs.input.CountingFileSystem;
import io.lakegen.jobs.input.Coverage;
import io.lakegen.jobs.input.EndlessFileSystem;
import io.lakegen.jobs.input.InputFiles;
import io.lakegen.jobs.input.InputReader;
import io.lakegen.jobs.input.Remaining;
import io.lakegen.problem.Problems;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Corpora of many small files. {@code -Dlakegen.files=2000000} for a lake's worth of them. */
class ManyFilesTest {
  @TempDir Path folder;

  @Test
  void aListingIsPlannedInChunksWithSmallManifests() throws IOException {
    int count = Integer.getInteger("lakegen.files", 100_000);
    Configuration conf = new Configuration();
    conf.set("fs.endless.impl", EndlessFileSystem.class.getName());
    long start = System.nanoTime();
    Coverage done = new Coverage();
    InputFiles files = find(count, done, conf);
    assertThat(files.left()).hasSize(count);
    InputReader reader = new InputReader(TestJobs.spark(), files, "image", Optional.empty());
    Remaining remaining = new Remaining(reader, files.left(), false);
    remaining.sample(null);
    System.err.printf(
        "%,d files listed and planned in %.1f s%n", count, (System.nanoTime() - start) / 1e9);
    long planned = 0;
    long largest = 0;
    while (!remaining.isEmpty()) {
      List<Address> chunk = remaining.take(Long.MAX_VALUE / 1000);
      planned += chunk.size();
      Commit commit = CommitTest.of("run", 1, chunk);
      largest = Math.max(largest, CommitLog.content(commit).length);
      commit.ranges().forEach(done::add);
    }
    assertThat(planned).isEqualTo(count);
    System.err.printf("largest manifest: %,d bytes%n", largest);
    assertThat(largest).isLessThan(1 << 20);

    start = System.nanoTime();
    InputFiles gained = find(count + 1000, done, conf);
    System.err.printf("listed again in %.1f s%n", (System.nanoTime() - start) / 1e9);
    assertThat(gained.count()).isEqualTo(count + 1000L);
    assertThat(gained.left()).hasSize(1000);
    assertThat(find(count, done, conf).left()).isEmpty();
  }

  private static InputFiles find(int count, Coverage done, Configuration conf) {
    Problems problems = new Problems();
    return InputFiles.find(List.of("endless://lake/" + count), null, done, conf, problems)
        .orElseThrow(() -> new AssertionError(problems.list()));
  }

  @Test
  void aRestartReadsOnlyWhatIsLeft() throws IOException {
    TestJobs.spark()
        .sparkContext()
        .hadoopConfiguration()
        .set("fs.counted.impl", CountingFileSystem.class.getName());
    Path in = Files.createDirectories(folder.resolve("in"));
    long total = 0;
    for (int i = 0; i < 2000; i++) {
      if (i == 1980) {
        assertThat(run().ok()).isEqualTo(1980 * 3);
        CountingFileSystem.READ.set(0);
        CountingFileSystem.OPENED.clear();
      }
      StringBuilder lines = new StringBuilder();
      for (int row = 0; row < 3; row++) {
        lines.append("{\"text\":\"text ").append(i).append(' ').append(row).append("\"}\n");
      }
      total += lines.length();
      Files.writeString(in.resolve(String.format("%04d.jsonl", i)), lines);
    }
    RunSummary rest = run();
    assertThat(rest.ok()).isEqualTo(60);
    assertThat(rest.skipped()).isEqualTo(1980 * 3);
    long opened = CountingFileSystem.OPENED.values().stream().mapToLong(n -> n).sum();
    System.err.printf(
        "restart with 1 %% left: files of %.2f %% of the bytes were read, %.2f %% in all reads%n",
        100.0 * opened / total, 100.0 * CountingFileSystem.READ.get() / total);
    assertThat(CountingFileSystem.OPENED).hasSize(20);
    assertThat(opened).isLessThanOrEqualTo(total * 2 / 100);
    // Once for the columns and once for the rows; a file that two chunks share once more.
    assertThat(CountingFileSystem.READ.get()).isLessThan(5 * opened / 2);
    assertThat(TestJobs.rows(folder + "/out").count()).isEqualTo(6000);
  }

  private RunSummary run() throws IOException {
    return Jobs.run(
        TestJobs.spark(),
        JobSpec.of(new LengthTask())
            .with(JobOptions.INPUT, List.of("counted:" + folder + "/in"))
            .with(JobOptions.MODEL, LengthMain.PACK.toString())
            .with(JobOptions.OUTPUT, folder + "/out"),
        System.err);
  }
}
