package io.lakegen.jobs.run;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** The terminal of this process, as the launcher says whether there is one. */
public final class Terminal {
  /** Where nothing is known: as many columns as are easy to read. */
  private static final int COLUMNS = 100;

  private Terminal() {}

  /** Whether standard error goes to one. */
  static boolean isThere() {
    return Boolean.getBoolean("lakegen.terminal");
  }

  /** Its columns as they are now: a window may have another size than when the job started. */
  public static int columns() {
    try {
      Process process =
          new ProcessBuilder("stty", "size")
              .redirectInput(new File("/dev/tty"))
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String size =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).strip();
      if (process.waitFor() == 0 && size.matches("\\d+ [1-9]\\d*")) {
        return Integer.parseInt(size.substring(size.indexOf(' ') + 1));
      }
    } catch (IOException e) {
      // No terminal.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return COLUMNS;
  }
}
