package io.lakegen.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * The share of the time in which a kernel ran on the first GPU, as {@code nvidia-smi} samples it.
 */
final class GpuShare {
  private static final String QUERY =
      "nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits -i 0 -lms 100";

  private final Process process;

  private GpuShare(Process process) {
    this.process = process;
  }

  /** Begins to sample; without {@code nvidia-smi} there is nothing to sample. */
  static GpuShare start() {
    try {
      return new GpuShare(new ProcessBuilder(QUERY.split(" ")).start());
    } catch (IOException e) {
      return new GpuShare(null);
    }
  }

  /** Ends sampling; the share is from 0 to 1, NaN if nobody could tell. */
  double end() throws IOException {
    if (process == null) {
      return Double.NaN;
    }
    // What it has printed by now; its end of the pipe goes with it.
    byte[] samples = process.getInputStream().readNBytes(process.getInputStream().available());
    process.destroy();
    return new String(samples, StandardCharsets.UTF_8)
            .lines()
            .map(String::strip)
            .filter(line -> line.matches("\\d+"))
            .mapToInt(Integer::parseInt)
            .average()
            .orElse(Double.NaN)
        / 100;
  }
}
