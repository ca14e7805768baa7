package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.jobs.TestJobs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Drivers that are killed at random moments, and the oracle after each. {@code -Dlakegen.kills=20}
 * takes three minutes; {@code -Dlakegen.seed} repeats a run.
 */
class KillTest {
  private static final int ROWS = 5000;
  private static final int EVERY = 500;

  @TempDir Path folder;

  @Test
  void aRunThatIsKilledAgainAndAgainHoldsEveryRowOnce() throws Exception {
    int kills = Integer.getInteger("lakegen.kills", 4);
    long seed = Long.getLong("lakegen.seed", System.nanoTime());
    System.err.println("kills at random moments: -Dlakegen.seed=" + seed);
    Random random = new Random(seed);
    List<String> texts =
        IntStream.range(0, ROWS).mapToObj(i -> "text " + i + (i % 100 == 7 ? " bad" : "")).toList();
    Path input = Files.write(folder.resolve("in.txt"), texts);
    Path output = folder.resolve("out");
    Path log = folder.resolve("log");
    int killed = 0;
    while (killed < kills) {
      long before = lines(log);
      Process driver = LengthMain.start(input, output, EVERY, 6, log, Map.of());
      try {
        // The start of a JVM and a Spark session is always the same: kills are spread over what
        // follows, the first commits and the last ones included.
        while (driver.isAlive() && lines(log) == before) {
          driver.waitFor(20, TimeUnit.MILLISECONDS);
        }
        if (driver.waitFor(random.nextInt(2000), TimeUnit.MILLISECONDS)) {
          assertThat(driver.exitValue()).as(out(log)).isZero();
          break;
        }
      } finally {
        driver.destroyForcibly().waitFor();
      }
      killed++;
      assertReadersSeeOnlyWhatIsCommitted(output);
    }
    Process last = LengthMain.start(input, output, EVERY, 0, log, Map.of());
    assertThat(last.waitFor()).as(out(log)).isZero();
    System.err.printf("%d kills, %d rows inferred for %d%n", killed, lines(log), ROWS - ROWS / 100);

    List<String> good = texts(TestJobs.rows(output).select("text"));
    List<String> bad = texts(TestJobs.errors(output).orElseThrow().select("text"));
    assertThat(Stream.concat(good.stream(), bad.stream()))
        .containsExactlyInAnyOrderElementsOf(texts);
    assertThat(bad).allMatch(t -> t.contains("bad"));
    assertThat(TestJobs.rows(output).where("length != length(text)").count()).isZero();
    long counted =
        TestJobs.commits(output).stream()
            .mapToLong(c -> c.path("counts").path("input").asLong())
            .sum();
    assertThat(counted).isEqualTo(ROWS);
    // What is done twice is at most a chunk a kill.
    assertThat(lines(log)).isLessThanOrEqualTo(good.size() + (long) killed * EVERY);
    try (Stream<Path> own = Files.list(output.resolve("_lakegen"))) {
      assertThat(own.map(p -> p.getFileName().toString()).filter(n -> !n.startsWith(".")))
          .containsExactly("commits");
    }
  }

  private static List<String> texts(org.apache.spark.sql.Dataset<org.apache.spark.sql.Row> rows) {
    return rows.collectAsList().stream().map(r -> r.getString(0)).toList();
  }

  private static long lines(Path file) throws IOException {
    if (!Files.exists(file)) {
      return 0;
    }
    try (Stream<String> lines = Files.lines(file)) {
      return lines.count();
    }
  }

  private static String out(Path log) throws IOException {
    return Files.readString(Path.of(log + ".out"));
  }

  private void assertReadersSeeOnlyWhatIsCommitted(Path output) throws IOException {
    if (!Files.exists(output)) {
      return;
    }
    Set<String> visible = new HashSet<>();
    try (Stream<Path> files = Files.walk(output)) {
      files
          .map(f -> output.relativize(f).toString())
          .filter(f -> f.startsWith("run_id=") && f.endsWith(".parquet"))
          .forEach(visible::add);
    }
    Set<String> committed = new HashSet<>();
    if (Files.exists(output.resolve("_lakegen/commits"))) {
      for (JsonNode commit : TestJobs.commits(output)) {
        commit.path("files").forEach(f -> committed.add(f.asText()));
      }
    }
    assertThat(committed).containsAll(visible);
    if (!visible.isEmpty()) {
      List<String> texts = texts(TestJobs.rows(output).select("text"));
      assertThat(texts).doesNotHaveDuplicates();
    }
  }
}
