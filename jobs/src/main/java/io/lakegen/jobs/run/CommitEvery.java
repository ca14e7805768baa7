package io.lakegen.jobs.run;

import io.lakegen.task.Durations;
import java.io.Serializable;
import java.time.Duration;
import java.util.regex.Pattern;

/**
 * How much work a run may have done that is not committed yet.
 *
 * @param seconds of work; 0 where rows count
 * @param rows input rows; 0 where time counts
 */
public record CommitEvery(long seconds, long rows) implements Serializable {
  private static final Pattern NUMBER = Pattern.compile("\\d+");

  /** Reads a duration such as {@code 10m}, or a number of rows. */
  public static CommitEvery parse(String text) {
    String stripped = text.strip();
    CommitEvery every =
        NUMBER.matcher(stripped).matches()
            ? new CommitEvery(0, Long.parseLong(stripped))
            : new CommitEvery(Durations.parse(stripped).toSeconds(), 0);
    if (every.seconds == 0 && every.rows == 0) {
      throw new IllegalArgumentException(text);
    }
    return every;
  }

  /** As it would be given. */
  @Override
  public String toString() {
    return rows > 0 ? String.valueOf(rows) : Durations.text(Duration.ofSeconds(seconds));
  }
}
