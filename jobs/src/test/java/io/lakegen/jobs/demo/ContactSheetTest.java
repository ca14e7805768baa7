package io.lakegen.jobs.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The page is opened in a browser, the way a person sees it. */
class ContactSheetTest {
  private static final Path RESOURCES =
      Path.of("../inference/src/test/resources").toAbsolutePath().normalize();
  private static final int YELLOW_OF_THE_PICTURE = 0xFAF014;
  private static final int PINK_OF_ERRORS = 0xFDECEE;

  @TempDir Path folder;

  private Path page() throws IOException {
    Path images = Files.createDirectory(folder.resolve("images"));
    Files.copy(RESOURCES.resolve("images/rgb.png"), images.resolve("rgb.png"));
    Files.copy(
        RESOURCES.resolve("images/large.jpg"),
        images.resolve("<img src=x onerror=document.title=1>&amp;.jpg"));
    Files.copy(RESOURCES.resolve("images/bad/text.jpg"), images.resolve("text.jpg"));
    Result captions =
        TestJobs.run(
            "caption",
            "--input",
            images,
            "--model",
            RESOURCES.resolve("fixtures/git/pack"),
            "--output",
            folder.resolve("out"),
            "--thumbnail",
            160,
            "--max-error-rate",
            0.5);
    assertThat(captions.status()).as(captions.err()).isZero();
    Path prompts =
        Files.write(
            folder.resolve("prompts.jsonl"),
            List.of("{\"prompt\": \"<b>w1\"}", "{\"prompt\": \"\"}", "{\"prompt\": \"w2\"}"));
    Result renders =
        TestJobs.run(
            "render",
            "--input",
            prompts,
            "--model",
            RESOURCES.resolve("fixtures/stable-diffusion/pack"),
            "--output",
            folder.resolve("renders"),
            "--num-inference-steps",
            2,
            "--max-error-rate",
            0.5);
    assertThat(renders.status()).as(renders.err()).isZero();
    Path page = folder.resolve("sheet.html");
    Result sheet =
        TestJobs.run(
            "demo-contact-sheet",
            "--renders",
            folder.resolve("renders"),
            "--captions",
            folder.resolve("out"),
            "--output",
            page);
    assertThat(sheet.status()).as(sheet.err()).isZero();
    assertThat(sheet.out()).isEqualTo("contact sheet of 6 pictures: " + page + "\n");
    return page;
  }

  private static Path chromium() {
    for (String folder : System.getenv("PATH").split(File.pathSeparator, -1)) {
      Path program = Path.of(folder, "chromium");
      if (Files.isExecutable(program)) {
        return program;
      }
    }
    return null;
  }

  private String browse(Path chromium, Path page, String... options) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                chromium.toString(),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--window-size=900,1100",
                "--user-data-dir=" + folder.resolve("profile")));
    command.addAll(List.of(options));
    command.add(page.toUri().toString());
    File out = folder.resolve("browser.out").toFile();
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(out)
            .redirectError(folder.resolve("browser.err").toFile())
            .start();
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("the browser ends").isTrue();
    assertThat(process.exitValue()).isZero();
    return Files.readString(out.toPath());
  }

  @Test
  void aBrowserShowsPicturesCaptionsAndErrors() throws Exception {
    Path page = page();
    Path chromium = chromium();
    if (chromium == null) {
      System.err.println("SKIPPED: no chromium on the PATH to open the contact sheet with");
    }
    assumeTrue(chromium != null, "no chromium on the PATH");

    String document = browse(chromium, page, "--dump-dom");
    assertThat(document).contains("<title>Contact sheet</title>").doesNotContain("<img src=\"x\"");
    assertThat(document.split("<figure", -1)).hasSize(7);
    assertThat(document.split("<figure class=\"error\"", -1)).hasSize(3);
    assertThat(document)
        .contains("&lt;img src=x onerror=document.title=1&gt;&amp;amp;.jpg")
        .contains("&lt;b&gt;w1<br><small>DDIMScheduler, 2 steps, guidance 7.5, seed")
        .contains("empty_text")
        .contains("not_an_image")
        .contains("prepare: the file starts with bytes 74 68 69 73");

    Path shot = folder.resolve("shot.png");
    browse(chromium, page, "--screenshot=" + shot);
    BufferedImage screen = ImageIO.read(shot.toFile());
    Map<Integer, Integer> colours = new HashMap<>();
    for (int y = 0; y < screen.getHeight(); y++) {
      for (int x = 0; x < screen.getWidth(); x++) {
        colours.merge(screen.getRGB(x, y) & 0xFFFFFF, 1, Integer::sum);
      }
    }
    assertThat(colours).hasSizeGreaterThan(1000);
    assertThat(colours.get(PINK_OF_ERRORS)).isGreaterThan(5000);
    int yellow =
        colours.entrySet().stream()
            .filter(e -> near(e.getKey(), YELLOW_OF_THE_PICTURE))
            .mapToInt(Map.Entry::getValue)
            .sum();
    assertThat(yellow).as("pixels of the pictures' yellow corner").isGreaterThan(1000);
  }

  private static boolean near(int a, int b) {
    int difference = 0;
    for (int shift = 0; shift < 24; shift += 8) {
      difference = Math.max(difference, Math.abs((a >> shift & 0xFF) - (b >> shift & 0xFF)));
    }
    return difference <= 12;
  }
}
