package io.lakegen.task;

import io.lakegen.problem.Problems;
import java.io.Serializable;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The options of one run: those that were given, by name. Immutable.
 *
 * @param given values of the options' own types
 */
public record OptionValues(Map<String, Serializable> given) implements Serializable {
  /** Every option at its default. */
  public static final OptionValues NONE = new OptionValues(Map.of());

  public OptionValues {
    given = Map.copyOf(given);
  }

  /**
   * Reads options as a command line, a YAML file or an SQL map holds them.
   *
   * @param options all that there are
   * @param raw texts, numbers or booleans, or lists of them, by the options' names
   * @param problems get a value that its option cannot take, and an unknown name with a suggestion
   */
  public static OptionValues parse(List<Option<?>> options, Map<String, ?> raw, Problems problems) {
    Map<String, Option<?>> known = new HashMap<>();
    options.forEach(o -> known.put(o.name(), o));
    Map<String, Serializable> given = new HashMap<>();
    raw.forEach(
        (name, value) -> {
          Option<?> option = known.get(name);
          if (option == null) {
            problems.add(
                name,
                "unknown option",
                "one of "
                    + options.stream().map(Option::name).toList()
                    + Problems.suggestion(name, known.keySet()));
          } else {
            option.parse(value, problems).ifPresent(v -> given.put(name, (Serializable) v));
          }
        });
    return new OptionValues(given);
  }

  /** The value of an option, or its default. */
  @SuppressWarnings("unchecked") // put there by an option of this name and type
  public <T> T get(Option<T> option) {
    Object value = given.get(option.name());
    return value == null ? option.byDefault() : (T) value;
  }

  /** Whether an option was given, be it its default. */
  public boolean has(Option<?> option) {
    return given.containsKey(option.name());
  }

  /** These options with another value for one of them; null takes it back. */
  public <T> OptionValues with(Option<T> option, T value) {
    Map<String, Serializable> changed = new HashMap<>(given);
    changed.put(option.name(), (Serializable) value);
    changed.values().removeIf(Objects::isNull);
    return new OptionValues(changed);
  }

  /** These options and others, which win where both have one. */
  public OptionValues and(OptionValues others) {
    Map<String, Serializable> both = new HashMap<>(given);
    both.putAll(others.given);
    return new OptionValues(both);
  }

  /** What was given of some options. */
  public OptionValues only(List<Option<?>> options) {
    Map<String, Serializable> some = new HashMap<>(given);
    some.keySet().retainAll(options.stream().map(Option::name).toList());
    return new OptionValues(some);
  }

  /**
   * Every option that has a value, given or by default, as JSON can hold it, sorted by name: what a
   * digest is made of, so that an option that is given with its default changes nothing.
   */
  public SortedMap<String, Object> canonical(List<Option<?>> options) {
    SortedMap<String, Object> values = new TreeMap<>();
    for (Option<?> option : options) {
      Object value = get(option);
      if (value instanceof List<?> list) {
        value = list.stream().map(OptionValues::plain).toList();
      }
      if (value != null) {
        values.put(option.name(), value instanceof List ? value : plain(value));
      }
    }
    return values;
  }

  private static Object plain(Object value) {
    if (value instanceof Duration duration) {
      return Durations.text(duration);
    }
    if (value instanceof Enum<?> constant) {
      return constant.name();
    }
    return value instanceof Number || value instanceof Boolean ? value : value.toString();
  }
}
