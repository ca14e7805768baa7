package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.lakegen.Tasks;
import io.lakegen.jobs.TestJobs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

/**
 * The commands of README and docs: those on sample-data pass a dry run, of the others nothing is
 * wrong but that their inputs and models are not here.
 */
class DocumentedCommandsTest {
  private static final Path ROOT = Path.of("..");
  private static final Pattern COMMAND =
      Pattern.compile("^ +\\./lakegen ((?:.*\\\\\\R)*.*)$", Pattern.MULTILINE);
  private static final Pattern WORD = Pattern.compile("'([^']*)'|\"([^\"]*)\"|\\S+");
  private static final Map<String, Object> TOOLS =
      Map.of(
          "status", new StatusCommand(),
          "show", new ShowCommand(),
          "pack", new PackCommand(),
          "doctor", new DoctorCommand());

  @TempDir Path folder;

  private static List<Arguments> commands() throws IOException {
    List<Arguments> found = new ArrayList<>();
    for (Path page : DocsTest.pages()) {
      Matcher commands = COMMAND.matcher(Files.readString(page));
      while (commands.find()) {
        String command = commands.group(1).replaceAll("\\\\\\R", " ").replaceAll(" #.*", "");
        // A form to fill in is no command.
        if (!command.matches(".*(\\[|<|\\.\\.\\.).*")) {
          found.add(arguments(ROOT.relativize(page).toString(), words(command)));
        }
      }
    }
    return found;
  }

  private static List<String> words(String command) {
    return WORD.matcher(command)
        .results()
        .map(m -> m.group(1) != null ? m.group(1) : m.group(2) != null ? m.group(2) : m.group())
        .toList();
  }

  @Test
  void commandsAreFound() throws IOException {
    assertThat(commands()).hasSizeGreaterThan(20);
    assertThat(words("embed --input 's3a://lake/a b' --where \"c = 'd'\""))
        .containsExactly("embed", "--input", "s3a://lake/a b", "--where", "c = 'd'");
  }

  @ParameterizedTest
  @MethodSource("commands")
  void commandsAreUnderstood(String page, List<String> words) {
    String name = words.get(0);
    if (Tasks.named(name).isPresent()) {
      job(words);
    } else if (TOOLS.containsKey(name)) {
      new CommandLine(TOOLS.get(name))
          .parseArgs(words.subList(1, words.size()).toArray(String[]::new));
    } else if (name.equals("bench") && words.size() > 1) {
      String camel =
          Arrays.stream(words.get(1).split("-"))
              .map(part -> part.substring(0, 1).toUpperCase(Locale.ROOT) + part.substring(1))
              .reduce("", String::concat);
      assertThat(ROOT.resolve("bench/src/main/java/io/lakegen/bench/" + camel + "Bench.java"))
          .exists();
    } else {
      // The launcher's own, which its tests and CI run.
      assertThat(name).isIn("demo", "test", "bench", "airflow", "gpu-libs", "export");
    }
  }

  private void job(List<String> words) {
    boolean here = words.stream().anyMatch(word -> word.startsWith("sample-data/models/"));
    List<String> arguments =
        new ArrayList<>(
            words.stream()
                .map(word -> word.replaceFirst("^sample-data/", "../sample-data/"))
                .map(word -> word.replaceFirst("^(s3a:/|/models|\\.lakegen)/", folder + "/"))
                .toList());
    arguments.add("--dry-run");
    TestJobs.Result result = TestJobs.run(arguments.toArray());
    if (here) {
      assertThat(result.status()).as(result.err()).isZero();
    } else {
      assertThat(result.status()).isEqualTo(2);
      assertThat(result.err().lines().filter(line -> line.startsWith("  ")))
          .isNotEmpty()
          .allMatch(line -> line.startsWith("  input: ") || line.startsWith("  model "));
    }
  }
}
