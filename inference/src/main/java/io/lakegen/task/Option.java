package io.lakegen.task;

import io.lakegen.problem.Problems;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * An option as data: the command line, configuration files, help, documentation and checks are all
 * made of it.
 *
 * @param <T> type of its values
 * @param name in lower-case words with dashes between them
 * @param form how it stands on the command line
 * @param type what every single value is
 * @param byDefault its value where none is given; may be null
 * @param description what it is for
 * @param defaultText words for its default; may be empty
 */
public record Option<T>(
    String name,
    Form form,
    Type type,
    T byDefault,
    String description,
    String defaultText,
    Rule<T> rule) {

  /** How an option stands on the command line. */
  public enum Form {
    /** Given or not. */
    FLAG,
    /** One value. */
    ONE,
    /** Any number of values. */
    MANY
  }

  /**
   * What a value is.
   *
   * @param label what stands for it in usage messages
   * @param expected the same for problems
   * @param choices all values there are; empty for any
   * @param converter throws an {@code IllegalArgumentException} for a text that is no such value
   */
  public record Type(
      String label, String expected, List<String> choices, Function<String, Object> converter) {}

  /** What values must be besides. */
  public record Rule<T>(String expected, Predicate<T> test) {}

  private static <T> Option<T> one(String name, Type type, T byDefault, String description) {
    String text = byDefault == null ? "" : byDefault.toString().replaceFirst("\\.0$", "");
    return new Option<>(
        name, Form.ONE, type, byDefault, description, text, new Rule<>("", v -> true));
  }

  private static <T> Option<List<T>> many(String name, Type type, String description) {
    return new Option<>(
        name, Form.MANY, type, List.of(), description, "", new Rule<>("", v -> true));
  }

  /** A whole number; {@code byDefault} may be null. */
  public static Option<Integer> ofInt(String name, Integer byDefault, String description) {
    Type type = new Type("N", "a whole number", List.of(), Integer::valueOf);
    return one(name, type, byDefault, description);
  }

  /** A whole number of 64 bits; {@code byDefault} may be null. */
  public static Option<Long> ofLong(String name, Long byDefault, String description) {
    Type type = new Type("N", "a whole number", List.of(), Long::valueOf);
    return one(name, type, byDefault, description);
  }

  /** A finite number. */
  public static Option<Double> ofDouble(String name, double byDefault, String description) {
    Type type = new Type("X", "a number", List.of(), Double::valueOf);
    return one(name, type, byDefault, description).where("a number", Double::isFinite);
  }

  /** A finite number without a default. */
  public static Option<Double> ofDouble(String name, String description) {
    Type type = new Type("X", "a number", List.of(), Double::valueOf);
    return Option.<Double>one(name, type, null, description).where("a number", Double::isFinite);
  }

  /** A duration, see {@link Durations}; {@code byDefault} may be null. */
  public static Option<Duration> ofDuration(String name, Duration byDefault, String description) {
    Type type = new Type("DURATION", Durations.EXPECTED, List.of(), Durations::parse);
    Option<Duration> option = one(name, type, byDefault, description);
    return option.defaultsTo(byDefault == null ? "" : Durations.text(byDefault));
  }

  /** Off unless it is given. */
  public static Option<Boolean> flag(String name, String description) {
    Type type =
        new Type(
            "",
            "true or false",
            List.of(),
            text -> {
              if (text.equals("true") || text.equals("false")) {
                return text.equals("true");
              }
              throw new IllegalArgumentException(text);
            });
    return new Option<>(name, Form.FLAG, type, false, description, "", new Rule<>("", v -> true));
  }

  /** A text; {@code byDefault} may be null. */
  public static Option<String> ofText(
      String name, String byDefault, String label, String description) {
    return one(name, text(label), byDefault, description);
  }

  /**
   * A value of any type.
   *
   * @param expected what a value is, for problems
   * @param converter throws an {@code IllegalArgumentException} for a text that is no such value
   * @param defaultText the default as it would be given
   */
  public static <T> Option<T> of(
      String name,
      String label,
      String expected,
      Function<String, T> converter,
      T byDefault,
      String defaultText,
      String description) {
    Type type = new Type(label, expected, List.of(), converter::apply);
    return one(name, type, byDefault, description).defaultsTo(defaultText);
  }

  /** The name of an input column; {@code byDefault} may be null. */
  public static Option<String> ofColumn(String name, String byDefault, String description) {
    return ofText(name, byDefault, "NAME", description);
  }

  /** Any number of texts. */
  public static Option<List<String>> ofTexts(String name, String label, String description) {
    return many(name, text(label), description);
  }

  private static Type text(String label) {
    return new Type(label, "a text", List.of(), text -> text);
  }

  /** The content of a UTF-8 file on any Hadoop file system, by its URI. */
  public static Option<String> ofFile(String name, String description) {
    return one(
        name, new Type("URI", "a readable file", List.of(), Option::read), null, description);
  }

  private static String read(String uri) {
    Path path = new Path(uri);
    try (InputStream in = path.getFileSystem(new Configuration()).open(path)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  /** One of an enum's constants, whatever its case; {@code byDefault} may be null. */
  public static <E extends Enum<E>> Option<E> ofEnum(
      String name, Class<E> constants, E byDefault, String label, String description) {
    return one(name, choice(constants, label), byDefault, description);
  }

  /** Any number of an enum's constants, also several in one text with commas between them. */
  public static <E extends Enum<E>> Option<List<E>> ofEnums(
      String name, Class<E> constants, String label, String description) {
    return many(name, choice(constants, label), description);
  }

  private static <E extends Enum<E>> Type choice(Class<E> constants, String label) {
    List<E> values = List.of(constants.getEnumConstants());
    return new Type(
        label,
        "one of " + values,
        values.stream().map(Enum::name).toList(),
        text ->
            values.stream()
                .filter(c -> c.name().equalsIgnoreCase(text))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(text)));
  }

  /** This option with a rule for its values. */
  public Option<T> where(String expected, Predicate<T> test) {
    return new Option<>(
        name, form, type, byDefault, description, defaultText, new Rule<>(expected, test));
  }

  /** This option with words for its default, such as {@code the model's own}. */
  public Option<T> defaultsTo(String words) {
    return new Option<>(name, form, type, byDefault, description, words, rule);
  }

  /** What it is for, which values it takes, and which it has by default, for a person. */
  public String help() {
    return description
        + (form == Form.MANY ? " May be given more than once." : "")
        + (type.choices().isEmpty() ? "" : " One of " + String.join(", ", type.choices()) + ".")
        + (defaultText.isEmpty() ? "" : " Default: " + defaultText + ".");
  }

  /**
   * Reads a value.
   *
   * @param raw a text, number or boolean, or a list of them
   * @param problems get what is wrong with it
   * @return empty if anything is
   */
  Optional<T> parse(Object raw, Problems problems) {
    List<?> parts = raw instanceof List<?> list ? list : Arrays.asList(raw);
    boolean plain =
        parts.stream().noneMatch(p -> p == null || p instanceof List || p instanceof Map);
    if (!plain || (form != Form.MANY && raw instanceof List)) {
      problems.add(name, raw, form == Form.MANY ? "a single value or a list" : "a single value");
      return Optional.empty();
    }
    List<Object> values = new ArrayList<>();
    for (Object part : parts) {
      String text = String.valueOf(part);
      List<String> pieces =
          form == Form.MANY && !type.choices().isEmpty()
              ? Arrays.stream(text.split(",", -1)).map(String::strip).toList()
              : List.of(text);
      for (String piece : pieces) {
        try {
          values.add(type.converter().apply(piece));
        } catch (IllegalArgumentException e) {
          problems.add(
              name, piece, type.expected() + (e.getCause() == null ? "" : "; " + e.getMessage()));
          return Optional.empty();
        }
      }
    }
    @SuppressWarnings("unchecked") // the factories pair types with converters
    T value = (T) (form == Form.MANY ? List.copyOf(values) : values.get(0));
    if (!rule.test().test(value)) {
      problems.add(name, raw, rule.expected());
      return Optional.empty();
    }
    return Optional.of(value);
  }

  @Override
  public String toString() {
    return "--" + name;
  }
}
