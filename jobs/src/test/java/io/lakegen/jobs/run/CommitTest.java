package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.input.Address;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CommitTest {
  @TempDir Path folder;

  static Commit of(String runId, int chunk, List<Address> ranges) {
    return new Commit(
        Commit.FORMAT,
        false,
        false,
        runId,
        chunk,
        "2026-11-24T00:00:00Z",
        "2026-11-24T00:01:00Z",
        "length",
        List.of("in"),
        "text",
        null,
        "model",
        "m".repeat(64),
        Map.of("seed", 0),
        "p".repeat(64),
        new ObjectMapper().createObjectNode().put("type", "struct"),
        new Commit.Counts(3, 2, 1, 2),
        Map.of("prepare/bad", 1L),
        1.5,
        List.of("run_id=a/chunk=0/part.parquet"),
        Commit.covers(ranges),
        List.of(),
        new Commit.Work(
            "0.2.0",
            Map.of("device", "cpu"),
            2,
            Map.of("infer", 1.25),
            List.of(new Commit.Pace(0.5, 1), new Commit.Pace(1.5, 3))));
  }

  private CommitLog log() throws IOException {
    FileSystem fs = FileSystem.getLocal(new Configuration());
    return CommitLog.read(fs, new org.apache.hadoop.fs.Path(folder + "/commits"));
  }

  @Test
  void anEntryComesBackAsItWas() throws IOException {
    List<Address> ranges =
        List.of(
            new Address("file:/in/a", 10, 5, null, 0, 10),
            new Address("file:/in/b", 10, 5, null, 2, 7),
            new Address("s3a://in/c d", 10, 0, "\"etag\"", 0, 10));
    Commit commit = of("run", 3, ranges);
    log().append(of("other", 0, List.of()));
    log().append(commit);
    CommitLog log = log();
    Commit read = log.chunks().get(1);
    assertThat(log.ranges(read)).isEqualTo(ranges);
    assertThat(read.toString()).isEqualTo(commit.withoutCovers().toString());
  }

  @Test
  void aLongPaceIsThinnedFromItsEnd() {
    List<Commit.Pace> pace =
        IntStream.rangeClosed(1, 230).mapToObj(i -> new Commit.Pace(i, 10L * i)).toList();
    List<Commit.Pace> kept = new Commit.Work("0.2.0", Map.of(), 1, Map.of(), pace).pace();
    assertThat(kept).hasSize(46).isSubsetOf(pace).endsWith(new Commit.Pace(230, 2300));
  }

  @Test
  void ofTwoWritersOneFails() throws IOException {
    CommitLog one = log();
    CommitLog other = log();
    one.append(of("one", 0, List.of()));
    assertThat(other.isCurrent()).isFalse();
    assertThatThrownBy(() -> other.append(of("other", 0, List.of())))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(
            "000000000.json.gz is there already: another run has taken over the output");
    one.append(of("one", 1, List.of()));
    assertThat(log().chunks()).extracting(Commit::id).containsExactly("one/0", "one/1");
  }

  @Test
  void aReplacementHidesWhatWasBefore() throws IOException {
    CommitLog log = log();
    log.append(of("old", 0, List.of()));
    log.append(pending("new", 0));
    log.append(pending("new", 1));
    assertThat(log().chunks()).extracting(Commit::id).containsExactly("old/0");
    assertThat(log().pending()).extracting(Commit::id).containsExactly("new/0", "new/1");
    log.append(Commit.replacement("new", "2026-11-24T00:00:00Z"));
    assertThat(log().chunks()).extracting(Commit::id).containsExactly("new/0", "new/1");
    assertThat(log().pending()).isEmpty();
  }

  private static Commit pending(String runId, int chunk) {
    Commit c = of(runId, chunk, List.of());
    return new Commit(
        c.format(),
        false,
        true,
        runId,
        chunk,
        c.started(),
        c.committed(),
        c.job(),
        c.input(),
        c.inputFormat(),
        c.limit(),
        c.model(),
        c.modelSha256(),
        c.params(),
        c.paramsSha256(),
        c.schema(),
        c.counts(),
        c.errors(),
        c.seconds(),
        c.files(),
        c.covers(),
        c.retries(),
        c.work());
  }

  @Test
  void anEntryOfAnotherFormatIsRefused() throws IOException {
    log().append(of("old", 0, List.of()));
    java.nio.file.Path file = folder.resolve("commits/000000000.json.gz");
    java.nio.file.Files.write(file, new byte[] {1, 2, 3});
    java.nio.file.Files.deleteIfExists(folder.resolve("commits/.000000000.json.gz.crc"));
    assertThatThrownBy(this::log)
        .isInstanceOf(IOException.class)
        .hasMessageContaining("000000000.json.gz cannot be read: ");
  }
}
