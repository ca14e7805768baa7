package io.lakegen.jobs.show;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.Versions;
import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Outputs of real jobs, on the terminal and in a browser, the way a person sees them. */
class ShowTest {
  private static final Path RESOURCES =
      Path.of("../inference/src/test/resources").toAbsolutePath().normalize();
  private static final int YELLOW_OF_THE_PICTURE = 0xFAF014;
  private static final String FILE_COLUMN = "--column=file";
  private static final String EVIL = "<img src=x onerror=document.title=1>&amp;.jpg";

  @TempDir static Path folder;

  @BeforeAll
  static void runJobs() throws IOException {
    Path images = Files.createDirectory(folder.resolve("images"));
    Files.copy(RESOURCES.resolve("images/rgb.png"), images.resolve("rgb.png"));
    Files.copy(RESOURCES.resolve("images/large.jpg"), images.resolve(EVIL));
    Files.copy(RESOURCES.resolve("images/bad/text.jpg"), images.resolve("text.jpg"));
    job("caption", images, "captions", RESOURCES.resolve("fixtures/git/pack"));
    job(
        "caption",
        images,
        "thumbnails",
        RESOURCES.resolve("fixtures/git/pack"),
        "--thumbnail",
        160);
    List<String> texts =
        new ArrayList<>(List.of("{\"text\": \"</script><b>bold\"}", "{\"text\": \"\"}"));
    for (int i = 0; i < 20; i++) {
      texts.add(
          "{\"text\": \""
              + (i % 2 == 0 ? "a cat sleeps on sofa " : "stocks fell on day ")
              + i
              + "\"}");
    }
    Path lines = Files.write(folder.resolve("texts.jsonl"), texts);
    job("embed", lines, "embed", TestJobs.MINILM);
    job("embed", lines, "embed-int8", Path.of(TestJobs.MINILM + "-int8"), "--commit-every", 5);
    Path prompts =
        Files.write(
            folder.resolve("prompts.jsonl"),
            List.of("{\"prompt\": \"<b>w1\"}", "{\"prompt\": \"\"}", "{\"prompt\": \"w2\"}"));
    Path gpt2 = RESOURCES.resolve("fixtures/gpt2/pack");
    job("generate", prompts, "greedy", gpt2, "--max-new-tokens", 8);
    job("generate", prompts, "sampled", gpt2, "--max-new-tokens", 8, "--do-sample");
    job(
        "render",
        prompts,
        "renders",
        RESOURCES.resolve("fixtures/stable-diffusion/pack"),
        "--num-inference-steps",
        2);
    Path pairs =
        Files.writeString(
            folder.resolve("pairs.jsonl"),
            "{\"file\": \"images/rgb.png\", \"title\": \"red <boat\"}");
    job("classify", pairs, "classes", RESOURCES.resolve("fixtures/vit-classes/pack"), FILE_COLUMN);
    job(
        "match",
        pairs,
        "matches",
        RESOURCES.resolve("fixtures/blip-matching/pack"),
        FILE_COLUMN,
        "--text-column=title",
        "--heat-map",
        "--overlay",
        64);
  }

  private static void job(String job, Path input, String output, Path model, Object... more) {
    List<Object> args =
        new ArrayList<>(
            List.of(
                job,
                "--input",
                input,
                "--output",
                folder.resolve(output),
                "--model",
                model,
                "--max-error-rate",
                0.5));
    args.addAll(List.of(more));
    Result result = TestJobs.run(args.toArray());
    assertThat(result.status()).as(result.err()).isZero();
  }

  private static String show(String output, Object... more) {
    List<Object> args = new ArrayList<>(List.of("show", folder.resolve(output)));
    args.addAll(List.of(more));
    Result result = TestJobs.run(args.toArray());
    assertThat(result.status()).as(result.err()).isZero();
    return result.out();
  }

  private static Path page(String output, Object... more) {
    Path page = folder.resolve(output + ".html");
    List<Object> args = new ArrayList<>(List.of("--html", page));
    args.addAll(List.of(more));
    assertThat(show(output, args.toArray())).startsWith("page of ").endsWith(": " + page + "\n");
    return page;
  }

  /** Opens a page in the browser, where there is one: no message on the console. */
  private static String browse(Path page) throws Exception {
    Browser browser = Browser.find(folder);
    assumeTrue(browser != null, "no chromium on the PATH");
    Browser.Visit visit = browser.open(page);
    assertThat(visit.console()).as("console of " + page.getFileName()).isEmpty();
    return visit.document();
  }

  private static int count(String text, String pattern) {
    Matcher matcher = Pattern.compile(pattern).matcher(text);
    int count = 0;
    while (matcher.find()) {
      count++;
    }
    return count;
  }

  @Test
  void aTerminalShowsRowsNeighboursValuesAndErrors() {
    String out = show("embed", "--limit", 4);
    assertThat(out)
        .contains("22 input = 21 ok + 1 failed; 1 run, 1 chunk")
        .containsPattern("1\\. +text +\\S")
        .contains("384 numbers: ")
        .containsPattern("token_count \\d+ · truncated no")
        .contains("nearest among 21 rows, by cosine:")
        .containsPattern("token_count +[\\d.]+ on average, median [\\d.]+, \\d+ to \\d+")
        .contains("prepare/empty_text: 1 row")
        .contains("texts.jsonl)");
    assertThat(count(out, "(?m)^\\d\\. ")).isEqualTo(4);
    // The neighbours of a text about cats are about cats.
    Matcher near =
        Pattern.compile("(?m)^  (a cat|stocks).*\n((    [01]\\.\\d{3}  .*\n){3})").matcher(out);
    int queries = 0;
    while (near.find()) {
      queries++;
      assertThat(count(near.group(2), near.group(1))).as(near.group()).isEqualTo(3);
    }
    assertThat(queries).isPositive();
  }

  @Test
  void picturesAreNamedByPathAndSize() {
    String thumbnails = show("thumbnails");
    // A long path is wrapped, and where depends on the temporary folder's name.
    assertThat(thumbnails.replaceAll("\\s+", "")).contains(EVIL.replace(" ", ""));
    assertThat(thumbnails)
        .containsPattern("thumbnail +160 × \\d+, [\\d.]+ kB")
        .containsPattern("caption +\\S");
    assertThat(show("renders")).containsPattern("image +\\d+ × \\d+, [\\d.]+ k?B");
  }

  @Test
  void aConditionChoosesGoodAndErrorRows() {
    String cats = show("embed", "--where", "text like 'a cat%'");
    assertThat(cats)
        .contains("where text like 'a cat%': 10 ok + 0 failed")
        .doesNotContain("stocks");
    assertThat(show("embed", "--where", "error.type = 'empty_text'"))
        .contains(": 0 ok + 1 failed")
        .contains("prepare/empty_text: 1 row");
    Result wrong = TestJobs.run("show", folder.resolve("embed"), "--where", "nothing > 1");
    assertThat(wrong.status()).isEqualTo(2);
    assertThat(wrong.err())
        .contains("where: nothing > 1 (expected: a condition in SQL over the columns [text,");
  }

  @Test
  void badArgumentsAreToldTogether() {
    Result result =
        TestJobs.run(
            "show", folder.resolve("embed"), "--limit", 0, "--html", folder.resolve("no/x.html"));
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains("limit: 0 (expected: 1 or more)")
        .contains("no/x.html (expected: a file in a folder that is there)");
    Result none = TestJobs.run("show", folder.resolve("images"));
    assertThat(none.status()).isEqualTo(2);
    assertThat(none.err()).contains("(expected: a folder that a job has committed to)");
  }

  @Test
  void theLogKnowsHowAChunkWasMade() {
    JsonNode commit = TestJobs.commits(folder.resolve("embed-int8")).get(1);
    JsonNode work = commit.get("work");
    assertThat(work.get("lakegen").asText()).isEqualTo(Versions.LAKEGEN);
    assertThat(work.get("options").get("commit-every").asText()).isEqualTo("5");
    assertThat(work.get("options").get("max-error-rate").asDouble()).isEqualTo(0.5);
    assertThat(work.get("stages").get("infer").asDouble()).isPositive();
    JsonNode pace = work.get("pace");
    assertThat(pace.get(pace.size() - 1).get("rows").asLong())
        .isEqualTo(commit.get("counts").get("input").asLong());
  }

  @Test
  void aPageOfEmbeddingsHasAMapAndOpensCleanly() throws Exception {
    String document = browse(page("embed"));
    assertThat(document)
        .contains("22 input = 21 ok + 1 failed, as committed in 1 chunk of 1 run")
        .contains("Seconds by stage")
        .contains("histogram of token_count")
        .contains("&lt;/script&gt;&lt;b&gt;bold")
        .contains("prepare/empty_text")
        .contains("lakegen embed");
    assertThat(count(document, "<circle ")).isEqualTo(21);
    // The script has chosen a point and listed its neighbours.
    assertThat(count(document, "<circle [^>]*class=\"chosen\"")).isEqualTo(1);
    assertThat(count(document, "<li><b>[01]\\.\\d{3}</b>")).isEqualTo(6);
  }

  @Test
  void aPageOfPicturesShowsThem() throws Exception {
    Path page = page("thumbnails");
    String document = browse(page);
    assertThat(document)
        .doesNotContain("<img src=\"x\"")
        .contains("&lt;img src=x onerror=document.title=1&gt;&amp;amp;.jpg");
    assertThat(count(document, "<figure>")).isEqualTo(2);
    assertThat(count(document, "<img [^>]*src=\"data:image/")).isEqualTo(2);
    assertThat(document)
        .contains("not_an_image")
        .contains("the file starts with bytes 74 68 69 73");
    Path shot = folder.resolve("shot.png");
    Browser.find(folder).shoot(page, shot, 900, 2500);
    assertThat(pixelsNear(ImageIO.read(shot.toFile()), YELLOW_OF_THE_PICTURE))
        .as("pixels of the pictures' yellow corner")
        .isGreaterThan(1000);
  }

  @Test
  void picturesOfTheInputAreShownWhereTheOutputHasNone() throws Exception {
    String document = browse(page("captions"));
    assertThat(count(document, "<img [^>]*src=\"data:image/")).isEqualTo(2);
    document = browse(page("renders"));
    assertThat(count(document, "<img [^>]*src=\"data:image/png")).isEqualTo(2);
    assertThat(document).contains("&lt;b&gt;w1").contains("scheduler DDIMScheduler");
  }

  @Test
  void relativePathsStartAtTheFolderOfTheTable() throws Exception {
    String document = browse(page("classes"));
    assertThat(count(document, "<img [^>]*src=\"data:image/")).isEqualTo(1);
    assertThat(document).contains("rgb.png · title red &lt;boat");
  }

  @Test
  void picturesOfAListAreNamedByTheTextsOfTheTask() throws Exception {
    String document = browse(page("matches"));
    assertThat(count(document, "<figure class=\"wide\">")).isEqualTo(1);
    for (String word : List.of("red", "&lt;", "boat")) {
      assertThat(
              count(
                  document,
                  "<div><img alt=\"[^\"]+\" title=\"[^\"]+\" src=\"data:image/[^\"]+\"><b>"
                      + word
                      + "</b></div>"))
          .as(word)
          .isEqualTo(1);
    }
    assertThat(document)
        .contains("<figcaption>red &lt;boat<small>itm_score ")
        .doesNotContain("words red");
  }

  @Test
  void twoRunsStandSideBySideDifferencesFirst() throws Exception {
    String out = show("greedy", "--compare", folder.resolve("sampled"));
    assertThat(out)
        .contains("--do-sample: A false, B true")
        .containsPattern("2 rows in both: \\d equal, \\d different")
        .containsPattern("A text +\\S")
        .containsPattern("B text +\\S");
    assertThat(show("greedy", "--compare", folder.resolve("greedy")))
        .contains("2 rows in both: 2 equal, 0 different");
    String document = browse(page("embed", "--compare", folder.resolve("embed-int8")));
    assertThat(document)
        .contains("Comparison of two runs")
        .contains("digest of the model")
        .containsPattern("cosine 0\\.9\\d{3}");
    Matcher cosines = Pattern.compile("\\(cosine ([\\d.]+)\\)").matcher(document);
    double last = 0;
    int pairs = 0;
    for (; cosines.find(); pairs++) {
      double cosine = Double.parseDouble(cosines.group(1));
      assertThat(cosine).isGreaterThanOrEqualTo(last);
      last = cosine;
    }
    assertThat(pairs).isEqualTo(21);
  }

  @Test
  void aPageWithAnErrorIsNoticed() throws Exception {
    Path page =
        Files.writeString(
            folder.resolve("bad.html"), "<script>nothing.there()</script><img src=\"http://x/\">");
    Browser browser = Browser.find(folder);
    assumeTrue(browser != null, "no chromium on the PATH");
    assertThat(browser.open(page).console()).anyMatch(l -> l.contains("nothing is not defined"));
  }

  private static int pixelsNear(BufferedImage screen, int colour) {
    int near = 0;
    for (int y = 0; y < screen.getHeight(); y++) {
      for (int x = 0; x < screen.getWidth(); x++) {
        int pixel = screen.getRGB(x, y);
        int difference = 0;
        for (int shift = 0; shift < 24; shift += 8) {
          difference =
              Math.max(difference, Math.abs((pixel >> shift & 0xFF) - (colour >> shift & 0xFF)));
        }
        near += difference <= 12 ? 1 : 0;
      }
    }
    return near;
  }
}
