package io.lakegen.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The Python programs that the jobs are measured against. */
final class Peer {
  private Peer() {}

  /** Runs a script, which prints one line of JSON at its end. */
  static JsonNode run(String... scriptAndArguments) throws IOException, InterruptedException {
    String printed = output(scriptAndArguments);
    return new ObjectMapper().readTree(printed.lines().reduce((a, b) -> b).orElseThrow());
  }

  /** Runs a script and gives what it prints. */
  static String output(String... scriptAndArguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(System.getenv().getOrDefault("LAKEGEN_PYTHON", "python3"));
    command.addAll(List.of(scriptAndArguments));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    // The launcher's, for the JVM alone: with many threads it would slow a peer down.
    builder.environment().remove("MALLOC_ARENA_MAX");
    Process process = builder.start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException(String.join(" ", command) + " failed: " + printed);
    }
    return printed;
  }
}
