package io.lakegen.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The Python programs that the jobs are measured against. One is open as long as it is asked. */
final class Peer implements AutoCloseable {
  private final Process process;
  private final BufferedReader answers;

  private Peer(Process process) {
    this.process = process;
    this.answers = process.inputReader(StandardCharsets.UTF_8);
  }

  /** Starts a script that answers every line of its input with a line of JSON. */
  static Peer open(String... scriptAndArguments) throws IOException {
    return new Peer(start(command(scriptAndArguments)));
  }

  JsonNode ask(String line) throws IOException {
    BufferedWriter questions = process.outputWriter(StandardCharsets.UTF_8);
    questions.write(line);
    questions.newLine();
    questions.flush();
    String answer = answers.readLine();
    if (answer == null) {
      throw new IllegalStateException("the peer ended (expected: an answer to " + line + ")");
    }
    return new ObjectMapper().readTree(answer);
  }

  @Override
  public void close() {
    process.destroy();
  }

  /** Runs a script, which prints one line of JSON at its end. */
  static JsonNode run(String... scriptAndArguments) throws IOException, InterruptedException {
    String printed = output(scriptAndArguments);
    return new ObjectMapper().readTree(printed.lines().reduce((a, b) -> b).orElseThrow());
  }

  /** Runs a script and gives what it prints. */
  static String output(String... scriptAndArguments) throws IOException, InterruptedException {
    List<String> command = command(scriptAndArguments);
    Process process = start(command);
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException(String.join(" ", command) + " failed: " + printed);
    }
    return printed;
  }

  private static List<String> command(String... scriptAndArguments) {
    List<String> command = new ArrayList<>();
    command.add(System.getenv().getOrDefault("LAKEGEN_PYTHON", "python3"));
    command.addAll(List.of(scriptAndArguments));
    return command;
  }

  private static Process start(List<String> command) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    // The launcher's, for the JVM alone: with many threads it would slow a peer down.
    builder.environment().remove("MALLOC_ARENA_MAX");
    return builder.start();
  }
}
