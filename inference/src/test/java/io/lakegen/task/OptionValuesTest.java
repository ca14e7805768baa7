package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OptionValuesTest {
  private enum Colour {
    red,
    green
  }

  private static final Option<Integer> COUNT =
      Option.ofInt("count", 3, "How many.").where("1 or more", n -> n >= 1);
  private static final Option<Double> SCALE = Option.ofDouble("scale", 1, "How large.");
  private static final Option<Boolean> DEEP = Option.flag("deep", "Go down.");
  private static final Option<List<String>> STOP = Option.ofTexts("stop", "TEXT", "Where to end.");
  private static final Option<Colour> COLOUR =
      Option.ofEnum("colour", Colour.class, null, "NAME", "Paint.").defaultsTo("the wall's");
  private static final Option<List<Colour>> PALETTE =
      Option.ofEnums("palette", Colour.class, "NAME,...", "Paints.");
  private static final Option<String> FILE = Option.ofFile("file", "What to read.");
  private static final Option<Duration> PAUSE =
      Option.ofDuration("pause", Duration.ofSeconds(90), "How long to rest.");
  private static final List<Option<?>> ALL =
      List.of(COUNT, SCALE, DEEP, STOP, COLOUR, PALETTE, FILE, PAUSE);

  private final Problems problems = new Problems();

  private OptionValues parse(Map<String, ?> raw) {
    return OptionValues.parse(ALL, raw, problems);
  }

  @Test
  void textsOfACommandLineAndValuesOfYamlGiveTheSame() {
    OptionValues texts =
        parse(
            Map.of(
                "count",
                "7",
                "scale",
                "0.5",
                "deep",
                "true",
                "stop",
                List.of("a", "b"),
                "colour",
                "GREEN",
                "palette",
                List.of("red,green"),
                "pause",
                "1h30m"));
    OptionValues yaml =
        parse(
            Map.of(
                "count",
                7,
                "scale",
                0.5,
                "deep",
                true,
                "stop",
                List.of("a", "b"),
                "colour",
                "green",
                "palette",
                List.of("red", "green"),
                "pause",
                "1h30m"));
    assertThat(problems.list()).isEmpty();
    assertThat(texts).isEqualTo(yaml);
    assertThat(texts.get(COUNT)).isEqualTo(7);
    assertThat(texts.get(PAUSE)).isEqualTo(Duration.ofMinutes(90));
    assertThat(texts.get(PALETTE)).containsExactly(Colour.red, Colour.green);
  }

  @Test
  void whatIsNotGivenHasItsDefault() {
    assertThat(OptionValues.NONE.get(COUNT)).isEqualTo(3);
    assertThat(OptionValues.NONE.get(COLOUR)).isNull();
    assertThat(OptionValues.NONE.get(STOP)).isEmpty();
    assertThat(OptionValues.NONE.has(COUNT)).isFalse();
    OptionValues given = OptionValues.NONE.with(COUNT, 3).and(OptionValues.NONE.with(SCALE, 2.0));
    assertThat(given.has(COUNT)).isTrue();
    assertThat(given.with(COUNT, null).has(COUNT)).isFalse();
    assertThat(given.only(List.of(SCALE))).isEqualTo(OptionValues.NONE.with(SCALE, 2.0));
    assertThat(given.and(OptionValues.NONE.with(COUNT, 9)).get(COUNT)).isEqualTo(9);
  }

  @Test
  void everyMistakeIsTold() {
    Map<String, Object> raw = new HashMap<>();
    raw.put("count", 0);
    raw.put("scale", "NaN");
    raw.put("deep", "yes");
    raw.put("stop", null);
    raw.put("colour", List.of("red"));
    raw.put("palette", "red, blue");
    raw.put("file", "/nowhere/file");
    raw.put("pause", 90);
    raw.put("cuont", 1);
    parse(raw);
    assertThat(problems.list().stream().map(Problem::toString))
        .containsExactlyInAnyOrder(
            "count: 0 (expected: 1 or more)",
            "scale: NaN (expected: a number)",
            "deep: yes (expected: true or false)",
            "stop: null (expected: a single value or a list)",
            "colour: [red] (expected: a single value)",
            "palette: blue (expected: one of [red, green])",
            "file: /nowhere/file (expected: a readable file; File /nowhere/file does not exist)",
            "pause: 90 (expected: a duration such as 90s, 10m, 1h30m or 500ms, at most 3650d)",
            "cuont: unknown option (expected: one of [count, scale, deep, stop, colour, palette,"
                + " file, pause]; did you mean count?)");
  }

  @Test
  void aFileIsItsContent(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("x.txt"), "one\ntwo\n");
    assertThat(parse(Map.of("file", file.toString())).get(FILE)).isEqualTo("one\ntwo\n");
  }

  @Test
  void theCanonicalFormHoldsDefaultsAndPlainValues() {
    assertThat(OptionValues.NONE.with(COUNT, 3).canonical(ALL))
        .isEqualTo(OptionValues.NONE.canonical(ALL))
        .isEqualTo(
            Map.of(
                "count", 3, "deep", false, "palette", List.of(), "pause", "1m30s", "scale", 1.0,
                "stop", List.of()));
    assertThat(OptionValues.NONE.with(COLOUR, Colour.red).canonical(ALL))
        .containsEntry("colour", "red");
  }

  @Test
  void helpSaysValuesAndDefault() {
    assertThat(COUNT.help()).isEqualTo("How many. Default: 3.");
    assertThat(SCALE.help()).isEqualTo("How large. Default: 1.");
    assertThat(COLOUR.help()).isEqualTo("Paint. One of red, green. Default: the wall's.");
    assertThat(DEEP.help()).isEqualTo("Go down.");
    assertThat(PAUSE.help()).isEqualTo("How long to rest. Default: 1m30s.");
  }
}
