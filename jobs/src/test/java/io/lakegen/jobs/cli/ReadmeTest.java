package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.Tasks;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * The README's tables of columns and options are those of the definitions. {@code ./mvnw test -pl
 * jobs -am -Dtest=ReadmeTest -Dsurefire.failIfNoSpecifiedTests=false -Dlakegen.write=true} writes
 * them anew.
 */
class ReadmeTest {
  private static final Path README = Path.of("../README.md");

  /** Options with a table of their own: those that every task has with the same words. */
  private static Set<String> common() {
    Set<String> common = null;
    for (TaskDefinition task : Tasks.ALL) {
      Set<String> rows =
          new HashSet<>(JobSpec.allOptions(task).stream().map(ReadmeTest::row).toList());
      if (common == null) {
        common = rows;
      }
      common.retainAll(rows);
    }
    common.add(row(JobCommand.CONFIG));
    return common;
  }

  private static String row(Option<?> option) {
    String value = option.form() == Option.Form.FLAG ? "" : " " + option.type().label();
    return "| `--" + option.name() + value + "` | " + option.help().replace("|", "\\|") + " |";
  }

  private static List<String> optionTable(TaskDefinition task, Set<String> common) {
    List<String> lines = new ArrayList<>(List.of("| option | |", "|---|---|"));
    JobSpec.allOptions(task).stream()
        .map(ReadmeTest::row)
        .filter(r -> !common.contains(r))
        .forEach(lines::add);
    return lines;
  }

  private static List<String> columnTable(TaskDefinition task) {
    List<String> lines = new ArrayList<>(List.of("| column | type | |", "|---|---|---|"));
    for (Result result : task.results(everything(task))) {
      lines.add(
          "| `"
              + result.name()
              + "` | `"
              + type(result.type())
              + "` | "
              + result.description()
              + " |");
    }
    return lines;
  }

  /** Options by which a task gives all the columns that it can. */
  private static OptionValues everything(TaskDefinition task) {
    Map<String, Object> raw = new HashMap<>();
    for (Option<?> option : task.data().options()) {
      for (String value : List.of("2", "true")) {
        Problems problems = new Problems();
        OptionValues.parse(List.of(option), Map.of(option.name(), value), problems);
        if (problems.isEmpty()) {
          raw.putIfAbsent(option.name(), value);
        }
      }
    }
    return OptionValues.parse(task.data().options(), raw, new Problems());
  }

  private static String type(Result.Type type) {
    return switch (type) {
      case TEXT -> "string";
      case INT, INDEX -> "int";
      case LONG -> "bigint";
      case FLOAT -> "float";
      case DOUBLE -> "double";
      case BOOLEAN -> "boolean";
      case IMAGE -> "binary";
      case VECTOR -> "array<float>";
      case TEXTS -> "array<string>";
      case VECTORS -> "array<array<float>>";
      case IMAGES -> "array<binary>";
      case SCORES -> "map<string,float>";
    };
  }

  private static Map<String, List<String>> tables() {
    Map<String, List<String>> tables = new HashMap<>();
    Set<String> common = common();
    List<String> commonTable = new ArrayList<>(List.of("| option | |", "|---|---|"));
    commonTable.add(row(JobCommand.CONFIG));
    JobSpec.allOptions(Tasks.ALL.get(0)).stream()
        .map(ReadmeTest::row)
        .filter(common::contains)
        .forEach(commonTable::add);
    tables.put("options of every job", commonTable);
    for (TaskDefinition task : Tasks.ALL) {
      tables.put("columns of " + task.data().name(), columnTable(task));
      tables.put("options of " + task.data().name(), optionTable(task, common));
    }
    return tables;
  }

  @Test
  void tablesAreThoseOfTheDefinitions() throws IOException {
    String found = Files.readString(README);
    String expected = found;
    for (Map.Entry<String, List<String>> table : tables().entrySet()) {
      String start = "<!-- " + table.getKey() + " -->\n";
      assertThat(expected).contains(start);
      int from = expected.indexOf(start) + start.length();
      int to = expected.indexOf("<!-- end -->", from);
      expected =
          expected.substring(0, from)
              + String.join("\n", table.getValue())
              + "\n"
              + expected.substring(to);
    }
    if (Boolean.getBoolean("lakegen.write")) {
      Files.writeString(README, expected);
    }
    assertThat(found).isEqualTo(expected);
    for (TaskDefinition task : Tasks.ALL) {
      assertThat(found.toLowerCase(Locale.ROOT)).contains("`" + task.data().name() + "`");
    }
  }
}
