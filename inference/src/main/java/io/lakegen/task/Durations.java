package io.lakegen.task;

import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Durations as people write them: {@code 10m}, {@code 90s}, {@code 1h30m}, {@code 500ms}. */
public final class Durations {
  /** What a text must be, for messages. */
  static final String EXPECTED = "a duration such as 90s, 10m, 1h30m or 500ms, at most 3650d";

  /** Far below what {@link Duration#toNanos} can hold. */
  private static final Duration LONGEST = Duration.ofDays(3650);

  private static final String[] UNITS = {"d", "h", "m", "s", "ms"};
  private static final long[] MILLIS = {86_400_000, 3_600_000, 60_000, 1_000, 1};
  private static final Pattern TEXT =
      Pattern.compile(
          "(?:(\\d{1,9})d)?(?:(\\d{1,9})h)?(?:(\\d{1,9})m)?(?:(\\d{1,9})s)?(?:(\\d{1,9})ms)?");

  private Durations() {}

  /**
   * Reads a duration: whole numbers with the units d, h, m, s and ms, the larger ones first.
   *
   * @throws IllegalArgumentException if it is none, has no unit, or is longer than ten years
   */
  public static Duration parse(String text) {
    Matcher matcher = TEXT.matcher(text);
    if (text.isEmpty() || !matcher.matches()) {
      throw new IllegalArgumentException(text);
    }
    long millis = 0;
    for (int i = 0; i < UNITS.length; i++) {
      String count = matcher.group(i + 1);
      millis += count == null ? 0 : Long.parseLong(count) * MILLIS[i];
    }
    Duration duration = Duration.ofMillis(millis);
    if (duration.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(text);
    }
    return duration;
  }

  /** The text that {@link #parse} reads as this duration, to the millisecond. */
  public static String text(Duration duration) {
    long millis = duration.toMillis();
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < UNITS.length; i++) {
      if (millis >= MILLIS[i]) {
        text.append(millis / MILLIS[i]).append(UNITS[i]);
        millis %= MILLIS[i];
      }
    }
    return text.length() == 0 ? "0s" : text.toString();
  }
}
