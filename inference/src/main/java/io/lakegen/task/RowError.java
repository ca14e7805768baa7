package io.lakegen.task;

import java.util.Objects;

/**
 * Why a row has no result: data, not a failure of the job.
 *
 * @param stage where it failed: {@code read}, {@code prepare} or {@code infer}
 * @param type stable name to group by, in snake case, such as {@code empty_text}
 * @param message for a person: what was found, what was expected
 */
public record RowError(String stage, String type, String message) {
  public RowError {
    Objects.requireNonNull(stage, "stage");
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(message, "message");
  }
}
