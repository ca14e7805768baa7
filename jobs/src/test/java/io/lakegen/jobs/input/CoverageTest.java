package io.lakegen.jobs.input;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class CoverageTest {
  private static final Address FILE = new Address("file:/a", 100, 5, null, 0, 100);

  private final Coverage coverage = new Coverage();

  private List<String> left(Address file) {
    return coverage.left(file).stream().map(r -> r.start() + "-" + r.end()).toList();
  }

  @Test
  void whatIsLeftIsWhatNoRangeCovers() {
    assertThat(left(FILE)).containsExactly("0-100");
    coverage.add(FILE.range(20, 40));
    assertThat(left(FILE)).containsExactly("0-20", "40-100");
    coverage.add(FILE.range(60, 70));
    coverage.add(FILE.range(40, 60));
    assertThat(left(FILE)).containsExactly("0-20", "70-100");
    coverage.add(FILE.range(0, 20));
    coverage.add(FILE.range(65, 100));
    assertThat(left(FILE)).isEmpty();
  }

  @Test
  void aFileOfAnotherLengthTimeOrTagIsAnother() {
    coverage.add(FILE);
    assertThat(left(FILE)).isEmpty();
    assertThat(left(new Address("file:/a", 101, 5, null, 0, 101))).containsExactly("0-101");
    assertThat(left(new Address("file:/a", 100, 6, null, 0, 100))).containsExactly("0-100");
    assertThat(left(new Address("file:/b", 100, 5, null, 0, 100))).containsExactly("0-100");
    coverage.add(new Address("s3a://a", 100, 5, "x", 0, 100));
    assertThat(left(new Address("s3a://a", 100, 9, "x", 0, 100))).isEmpty();
    assertThat(left(new Address("s3a://a", 100, 5, "y", 0, 100))).containsExactly("0-100");
  }

  @Test
  void anEmptyFileIsDoneOnce() {
    Address empty = new Address("file:/e", 0, 5, null, 0, 0);
    assertThat(left(empty)).containsExactly("0-0");
    coverage.add(empty);
    assertThat(left(empty)).isEmpty();
  }
}
