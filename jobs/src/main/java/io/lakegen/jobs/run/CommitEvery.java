package io.lakegen.jobs.run;

import java.io.Serializable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How much work a run may have done that is not committed yet.
 *
 * @param seconds of work; 0 where rows count
 * @param rows input rows; 0 where time counts
 */
public record CommitEvery(long seconds, long rows) implements Serializable {
  private static final Pattern DURATION = Pattern.compile("(\\d+)([smh])");

  /** Reads {@code 10m}, {@code 90s}, {@code 2h}, or a number of rows. */
  public static CommitEvery parse(String text) {
    Matcher duration = DURATION.matcher(text.strip());
    if (duration.matches()) {
      long unit =
          switch (duration.group(2)) {
            case "s" -> 1;
            case "m" -> 60;
            default -> 3600;
          };
      return positive(new CommitEvery(Long.parseLong(duration.group(1)) * unit, 0));
    }
    return positive(new CommitEvery(0, Long.parseLong(text.strip())));
  }

  private static CommitEvery positive(CommitEvery every) {
    if (every.seconds <= 0 && every.rows <= 0) {
      throw new IllegalArgumentException(every.toString());
    }
    return every;
  }
}
