package io.lakegen.jobs.show;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Chromium without a window: what a person's browser makes of a page. */
final class Browser {
  private final Path program;
  private final Path folder;

  /** The document after its scripts ran, and what they said on the console. */
  record Visit(String document, List<String> console) {}

  private Browser(Path program, Path folder) {
    this.program = program;
    this.folder = folder;
  }

  /** The machine's Chromium; null if it has none. */
  static Browser find(Path folder) {
    for (String path : System.getenv("PATH").split(File.pathSeparator, -1)) {
      Path program = Path.of(path, "chromium");
      if (Files.isExecutable(program)) {
        return new Browser(program, folder);
      }
    }
    System.err.println("SKIPPED: no chromium on the PATH to open pages with");
    return null;
  }

  Visit open(Path page) throws IOException, InterruptedException {
    run(page, "--dump-dom", "--enable-logging=stderr", "--virtual-time-budget=5000");
    List<String> console =
        Files.readAllLines(folder.resolve("browser.err")).stream()
            .filter(l -> l.contains(":CONSOLE"))
            .toList();
    return new Visit(Files.readString(folder.resolve("browser.out")), console);
  }

  void shoot(Path page, Path picture, int width, int height)
      throws IOException, InterruptedException {
    run(page, "--screenshot=" + picture, "--window-size=" + width + "," + height);
  }

  private void run(Path page, String... options) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                program.toString(),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--user-data-dir=" + folder.resolve("profile")));
    command.addAll(List.of(options));
    command.add(page.toUri().toString());
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(folder.resolve("browser.out").toFile())
            .redirectError(folder.resolve("browser.err").toFile())
            .start();
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("the browser ends").isTrue();
    assertThat(process.exitValue()).isZero();
  }
}
