package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.Tasks;
import io.lakegen.jobs.Fuzz;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Changed configuration files give options or problems, nothing else. */
class ConfigFuzzTest {
  private static final List<String> YAML =
      List.of(
          "input: [a.txt, b.txt]\nmodel: m\noutput: o\nlimit: 10\nmax-error-rate: 0.5\n",
          "input: a\nbatch-timeout: 10m\nrow-timeout: 1h30m\ndevice: gpu\ndry-run: true\n",
          "max-new-tokens: 20\ntemperature: 0.7\nstop: ['\\n', \"\\u00e9\"]\ndo-sample: yes\n",
          "seed: 0x7f\nlimit: 1_000\nmax-error-rate: .inf\ntop-p: .nan\n",
          "? input\n: !!str a\n? [output]\n: &x b\nmodel: *x\n",
          "a: 2001-12-14t21:59:43.10-05:00\nb: 12:30:45\nc: ~\nd: !!binary aGVsbG8=\n",
          "text: |\n  one\n  two\nmore: >-\n  three\n  four\n",
          "<<: {input: a}\nscheduler: !!set {a, b}\nx: !!omap [a: 1]\n",
          "--- # comment\n{input: a, 'output': \"b\"}\n...\n",
          "a: !!int 7\nb: !!float 1e3\nc: !!bool no\nd: !!timestamp 2001-01-01\ne: !!null ''\n");

  private static final List<String> VALUES =
      List.of(
          "",
          "~",
          "1",
          "-1",
          "0.5",
          "1e400",
          "abc",
          "[1, 2]",
          "[[a]]",
          "{a: b}",
          "&x [*x]",
          "!!int abc",
          "!!float x",
          "!!timestamp 99",
          "!!binary '*'",
          "!!java.net.URL [x]",
          "10m",
          "'",
          "99999999999999999999",
          "2001-99-99",
          "true",
          "gpu",
          "é",
          "\"\\uD800\"",
          "0b102");

  @TempDir Path folder;

  private static String outcome(TaskDefinition task, Path file) {
    Problems problems = new Problems();
    OptionValues values =
        OptionValues.parse(
            JobSpec.allOptions(task), ConfigFile.read(file.toString(), problems), problems);
    if (problems.isEmpty()) {
      task.check(values, problems);
      values.canonical(JobSpec.allOptions(task));
    }
    return problems.isEmpty() ? "options" : "problems";
  }

  /** An option that there is, with a value that it may not be made for. */
  private static byte[] optionAndValue(Random random) {
    TaskDefinition task = Tasks.ALL.get(random.nextInt(Tasks.ALL.size()));
    StringBuilder yaml = new StringBuilder();
    for (int i = random.nextInt(3); i >= 0; i--) {
      List<String> names =
          JobSpec.allOptions(task).stream().map(io.lakegen.task.Option::name).toList();
      yaml.append(names.get(random.nextInt(names.size())))
          .append(": ")
          .append(VALUES.get(random.nextInt(VALUES.size())))
          .append('\n');
    }
    return yaml.toString().getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void changedFilesGiveOptionsOrProblems() throws Exception {
    List<byte[]> corpus = new ArrayList<>();
    YAML.forEach(yaml -> corpus.add(yaml.getBytes(StandardCharsets.UTF_8)));
    corpus.add(Files.readAllBytes(Path.of("../conf/embed.yaml")));
    Path file = folder.resolve("c.yaml");
    Map<String, Integer> outcomes = new TreeMap<>();
    Fuzz.run(
        "yaml",
        2_000,
        corpus,
        (content, random) -> random.nextBoolean() ? content : optionAndValue(random),
        content -> {
          Files.write(file, content);
          for (TaskDefinition task : Tasks.ALL) {
            outcomes.merge(outcome(task, file), 1, Integer::sum);
          }
        });
    System.out.println("fuzz yaml: " + outcomes);
    assertThat(outcomes).containsKeys("options", "problems");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          input: &x [*x]                        | Number of aliases for non-scalar nodes exceeds
          input: &x {a: {b: *x}}                | Number of aliases for non-scalar nodes exceeds
          limit: !!int abc                      | abc
          max-error-rate: !!float x             | x
          input: !!set x                        | cannot be cast
          limit: !!java.net.URL ["http://x.y"]  | Global tag is not allowed
          """)
  void whatYamlAllowsAndAConfigurationCannotUseIsAProblem(String yaml, String message)
      throws IOException {
    Path file = Files.writeString(folder.resolve("c.yaml"), yaml);
    Problems problems = new Problems();
    assertThat(ConfigFile.read(file.toString(), problems)).isEmpty();
    assertThat(problems.list()).hasSize(1);
    assertThat(problems.list().get(0).toString())
        .startsWith("config: " + file + " (expected: valid YAML; ")
        .contains(message);
  }

  /** Three lines that stand for billions of entries. */
  @Test
  void aliasesDoNotMultiply() throws IOException {
    StringBuilder yaml = new StringBuilder("a0: &a0 [x, x]\n");
    for (int i = 1; i < 24; i++) {
      yaml.append(String.format("a%d: &a%d [*a%d, *a%d]%n", i, i, i - 1, i - 1));
    }
    Path file = Files.writeString(folder.resolve("c.yaml"), yaml);
    Problems problems = new Problems();
    assertThat(ConfigFile.read(file.toString(), problems)).isEmpty();
    assertThat(problems.list().get(0).toString()).contains("Number of aliases");
  }
}
