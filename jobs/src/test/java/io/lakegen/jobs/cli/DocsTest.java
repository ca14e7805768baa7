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
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The tables of columns and options in {@code docs/} are those of the definitions: {@code ./mvnw
 * test -pl jobs -am -Dtest=DocsTest -Dsurefire.failIfNoSpecifiedTests=false -Dlakegen.write=true}
 * writes them anew. No link of README and docs is dead.
 */
class DocsTest {
  private static final Path ROOT = Path.of("..");
  private static final Path README = ROOT.resolve("README.md");
  private static final Path DOCS = ROOT.resolve("docs");
  private static final Pattern LINK = Pattern.compile("\\]\\(([^)\\s]+)\\)");

  /** Options with a table of their own: those that every task has with the same words. */
  private static Set<String> common() {
    Set<String> common = null;
    for (TaskDefinition task : Tasks.ALL) {
      Set<String> rows =
          new HashSet<>(JobSpec.allOptions(task).stream().map(DocsTest::row).toList());
      if (common == null) {
        common = rows;
      }
      common.retainAll(rows);
    }
    common.addAll(JobCommand.COMMAND_LINE.stream().map(DocsTest::row).toList());
    return common;
  }

  private static String row(Option<?> option) {
    String value = option.form() == Option.Form.FLAG ? "" : " " + option.type().label();
    return "| `--" + option.name() + value + "` | " + option.help().replace("|", "\\|") + " |";
  }

  private static List<String> optionTable(TaskDefinition task, Set<String> common) {
    List<String> lines = new ArrayList<>(List.of("| option | |", "|---|---|"));
    JobSpec.allOptions(task).stream()
        .map(DocsTest::row)
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
    for (Option<?> option : task.data().allOptions()) {
      for (String value : List.of("2", "true")) {
        Problems problems = new Problems();
        OptionValues.parse(List.of(option), Map.of(option.name(), value), problems);
        if (problems.isEmpty()) {
          raw.putIfAbsent(option.name(), value);
        }
      }
    }
    return OptionValues.parse(task.data().allOptions(), raw, new Problems());
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
      case INTS -> "array<int>";
      case TEXTS -> "array<string>";
      case VECTORS -> "array<array<float>>";
      case IMAGES -> "array<binary>";
      case SCORES -> "map<string,float>";
    };
  }

  private static List<String> commonTable(Set<String> common) {
    List<String> table = new ArrayList<>(List.of("| option | |", "|---|---|"));
    JobCommand.COMMAND_LINE.forEach(o -> table.add(row(o)));
    JobSpec.allOptions(Tasks.ALL.get(0)).stream()
        .map(DocsTest::row)
        .filter(common::contains)
        .forEach(table::add);
    return table;
  }

  private static String withTable(String text, String name, List<String> table) {
    String start = "<!-- " + name + " -->\n";
    assertThat(text).contains(start);
    int from = text.indexOf(start) + start.length();
    int to = text.indexOf("<!-- end -->", from);
    return text.substring(0, from) + String.join("\n", table) + "\n" + text.substring(to);
  }

  private static void check(Path page, UnaryOperator<String> withTables) throws IOException {
    String found = Files.readString(page);
    String expected = withTables.apply(found);
    if (Boolean.getBoolean("lakegen.write")) {
      Files.writeString(page, expected);
    }
    assertThat(found).as(page.toString()).isEqualTo(expected);
  }

  /** README and its like, and all of docs. */
  static List<Path> pages() throws IOException {
    try (Stream<Path> docs = Files.walk(DOCS)) {
      return Stream.concat(
              Stream.of(
                      "README.md",
                      "CONTRIBUTING.md",
                      "airflow-dags/README.md",
                      "model-export/README.md")
                  .map(ROOT::resolve),
              docs.filter(p -> p.toString().endsWith(".md")))
          .sorted()
          .toList();
    }
  }

  /** The anchors that GitHub gives a page's headings. */
  private static Set<String> anchors(Path page) throws IOException {
    return Files.readAllLines(page).stream()
        .filter(line -> line.startsWith("#"))
        .map(line -> line.replaceFirst("^#+ ", "").toLowerCase(Locale.ROOT))
        .map(heading -> heading.replaceAll("[^\\p{L}\\p{N} _-]", "").replace(' ', '-'))
        .collect(Collectors.toSet());
  }

  @Test
  void tablesAreThoseOfTheDefinitions() throws IOException {
    Set<String> common = common();
    check(
        DOCS.resolve("jobs.md"),
        text -> withTable(text, "options of every job", commonTable(common)));
    String readme = Files.readString(README);
    for (TaskDefinition task : Tasks.ALL) {
      String name = task.data().name();
      check(
          DOCS.resolve("tasks/" + name + ".md"),
          text ->
              withTable(
                  withTable(text, "columns of " + name, columnTable(task)),
                  "options of " + name,
                  optionTable(task, common)));
      assertThat(readme).contains("[`" + name + "`](docs/tasks/" + name + ".md)");
    }
  }

  @Test
  void noLinkIsDead() throws IOException {
    List<String> dead = new ArrayList<>();
    for (Path page : pages()) {
      Matcher links = LINK.matcher(Files.readString(page));
      while (links.find()) {
        String link = links.group(1);
        if (link.contains("://")) {
          continue;
        }
        int hash = link.indexOf('#');
        String file = hash < 0 ? link : link.substring(0, hash);
        Path target = file.isEmpty() ? page : page.resolveSibling(file);
        if (!Files.exists(target)
            || (hash >= 0 && !anchors(target).contains(link.substring(hash + 1)))) {
          dead.add(page + ": " + link);
        }
      }
    }
    assertThat(dead).isEmpty();
  }
}
