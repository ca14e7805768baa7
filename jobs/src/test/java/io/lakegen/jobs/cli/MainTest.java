package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.Versions;
import io.lakegen.jobs.TestJobs;
import io.lakegen.jobs.TestJobs.Result;
import io.lakegen.task.embed.Embed;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  @TempDir Path folder;

  private Path input() throws IOException {
    return Files.writeString(
        folder.resolve("in.jsonl"), "{\"id\":1,\"text\":\"one\",\"embedding\":0}\n");
  }

  @Test
  void withoutAJobOrWithAnUnknownOneItSaysWhichThereAre() {
    Result none = TestJobs.run();
    assertThat(none.status()).isEqualTo(2);
    assertThat(none.err()).startsWith("lakegen: no job (expected: one of [embed, ");
    Result unknown = TestJobs.run("embd");
    assertThat(unknown.status()).isEqualTo(2);
    assertThat(unknown.err())
        .startsWith("lakegen: embd: unknown job")
        .contains("; did you mean embed?");
  }

  @Test
  void helpListsTheOptions() {
    Result result = TestJobs.run("embed", "--help");
    assertThat(result.status()).isZero();
    assertThat(result.out()).contains("--input=URI", "--max-error-rate=X", "--dry-run");
    assertThat(TestJobs.run("--help").out()).contains("embed").doesNotContain("demo-");
  }

  @Test
  void versionsAreThoseThatRun() {
    Result result = TestJobs.run("--version");
    assertThat(result.status()).isZero();
    assertThat(result.out())
        .startsWith("lakegen " + Versions.LAKEGEN + "\n")
        .contains("Spark " + TestJobs.spark().version() + "\n")
        .containsPattern("DJL 0\\.\\d+\\.\\d+\n")
        .containsPattern("PyTorch 2\\.\\d+\\.\\d+\n")
        .containsPattern("OnnxRuntime 1\\.\\d+\\.\\d+\n");
  }

  @Test
  void packsSayWhatTheyAre() {
    Result result = TestJobs.run("pack", "info", TestJobs.MINILM);
    assertThat(result.status()).as(result.err()).isZero();
    assertThat(result.out())
        .containsPattern("licence +Apache-2.0")
        .containsPattern("task +feature-extraction: lakegen embed")
        .containsPattern("size +9\\d\\.\\d MB in \\d files")
        .containsPattern("golden.json .* [0-9a-f]{64}");
    Result none = TestJobs.run("pack", "info", folder);
    assertThat(none.status()).isEqualTo(2);
    assertThat(none.err()).contains("pack.json: missing (expected: a folder made by");
    Result wrong = TestJobs.run("pack", "prove", TestJobs.MINILM);
    assertThat(wrong.status()).isEqualTo(2);
    assertThat(wrong.err()).contains("expected one of [info, check]");
  }

  @Test
  void packsAreChecked() throws IOException {
    Path fixture = Path.of("../inference/src/test/resources/fixtures/bert/pack").toAbsolutePath();
    Result result = TestJobs.run("pack", "check", fixture, "--device", "cpu");
    assertThat(result.status()).as(result.out() + result.err()).isZero();
    assertThat(result.out())
        .containsPattern("digests +\\d files are as pack.json says")
        .containsPattern("golden +graphs and tokenizer answer as the reference on cpu")
        .containsPattern("embed +opens, and answers as the reference");
    Path copy = Files.createDirectory(folder.resolve("copy"));
    try (Stream<Path> files = Files.list(fixture)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(file.getFileName()));
      }
    }
    Files.writeString(copy.resolve("tokenizer.json"), "{}");
    Result damaged = TestJobs.run("pack", "check", copy, "--device", "cpu");
    assertThat(damaged.status()).isEqualTo(1);
    assertThat(damaged.out()).contains("Wrong:").contains("tokenizer.json");
  }

  /** Such packs run with certain columns only, which nobody names where a pack is checked. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "stable-diffusion-inpaint",
        "stable-diffusion-controlnet",
        "stable-diffusion-upscale",
        "stylegan"
      })
  void packsThatNeedColumnsAreChecked(String name) {
    Path fixture = Path.of("../inference/src/test/resources/fixtures", name, "pack");
    Result result = TestJobs.run("pack", "check", fixture.toAbsolutePath(), "--device", "cpu");
    assertThat(result.status()).as(result.out() + result.err()).isZero();
    assertThat(result.out()).containsPattern("(render|sample) +opens, and answers");
  }

  @Test
  void aJobWithoutModelNamesThePacksAtHand() throws IOException {
    List<String> lines =
        new PacksAtHand(List.of(folder.resolve("nothing"), TestJobs.MINILM.getParent()))
            .lines(new Embed(), List.of("--input", "my texts.txt"));
    assertThat(lines.get(0))
        .isEqualTo("Packs for this job on this machine, each with the line to run:");
    assertThat(lines)
        .anyMatch(l -> l.matches("  .*all-MiniLM-L6-v2 \\(float32, \\d+ MB, Apache-2.0\\)"))
        .contains(
            "    ./lakegen embed --input 'my texts.txt' --model"
                + " target/packs/all-MiniLM-L6-v2-int8");
    assertThat(new PacksAtHand(List.of(folder)).lines(new Embed(), List.of()))
        .singleElement()
        .asString()
        .startsWith("No pack for this job is on this machine. ./lakegen export makes one");
    Result result = TestJobs.run("embed", "--input", input());
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains("model: missing (expected: --model or the key model of --config)")
        .containsPattern("(Packs for this job|No pack for this job)");
  }

  @Test
  void everyMistakeIsInOneMessage() throws IOException {
    Path config =
        Files.writeString(folder.resolve("c.yaml"), "colum: text\nbatch-budget: [1]\nlimit: 0\n");
    Result result =
        TestJobs.run(
            "embed",
            "--config",
            config,
            "--inptu",
            "x",
            "--device",
            "tpu",
            "--seed=x",
            "--batch-timeout=0s",
            "--row-timeout=60",
            "--max-error-rate=2",
            "--model",
            folder.resolve("nopack"),
            "--input",
            folder.resolve("no.txt"));
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .startsWith("lakegen embed: invalid arguments")
        .contains(
            "c.yaml: colum: unknown option (expected: one of [input, input-table, input-format, select, drop, model,"
                + " output, mode, commit-every, skip-keys, retry-errors, device, batch-budget,"
                + " batch-timeout, row-timeout, seed, limit, max-error-rate, dry-run, keep-image, column,"
                + " attention]; did you mean column?)")
        .contains("c.yaml: batch-budget: [1] (expected: a single value)")
        .contains("--inptu: unknown option (expected: an option of --help; did you mean --input?)")
        .contains("device: tpu (expected: one of [auto, cpu, gpu])")
        .contains("seed: x (expected: a whole number)")
        .contains("batch-timeout: 0s (expected: more than 0)")
        .contains(
            "row-timeout: 60 (expected: a duration such as 90s, 10m, 1h30m or 500ms, at most"
                + " 3650d)")
        .contains("limit: 0 (expected: 1 or more)")
        .contains("max-error-rate: 2 (expected: a share from 0 to 1)")
        .contains(
            "pack.json: missing (expected: a folder made by the model exporter, with pack.json)")
        .contains("output: missing (expected: --output or the key output of --config)")
        .contains("no.txt (expected: a file, folder or glob that holds at least one file)")
        .endsWith("See lakegen embed --help" + System.lineSeparator());
  }

  @Test
  void columnsAndOutputAreCheckedBeforeAnyTask() throws IOException {
    Path full = Files.createDirectory(folder.resolve("full"));
    Files.writeString(full.resolve("other.txt"), "x");
    Result result =
        TestJobs.run(
            "embed",
            "--input",
            input(),
            "--model",
            TestJobs.MINILM,
            "--output",
            full,
            "--column",
            "txt");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains(
            "column: txt is not in the input (expected: one of [embedding, id, text]; did you mean"
                + " text?)")
        .contains(
            "full (expected: a new or empty folder, or the output of a job; it holds other.txt)");
    Result below =
        TestJobs.run(
            "embed",
            "--input",
            input(),
            "--model",
            TestJobs.MINILM,
            "--output",
            folder + "/in.jsonl/x");
    assertThat(below.err()).contains("in.jsonl is a file)");
    Result file =
        TestJobs.run(
            "embed",
            "--input",
            input(),
            "--model",
            TestJobs.MINILM,
            "--output",
            folder + "/in.jsonl");
    assertThat(file.err()).contains("in.jsonl (expected: a folder; a file is there)");
  }

  @Test
  void aPackWithAWrongChecksumOrAMissingFileIsRefused() throws IOException {
    Path pack = Files.createDirectory(folder.resolve("pack"));
    for (String name : new String[] {"pack.json", "golden.json"}) {
      Files.copy(TestJobs.MINILM.resolve(name), pack.resolve(name));
    }
    Files.writeString(pack.resolve("all-minilm-l6-v2-tokenizer.json"), "{}");
    Result result =
        TestJobs.run("embed", "--input", input(), "--model", pack, "--output", folder + "/out");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains("all-minilm-l6-v2.onnx: missing (expected: a file of the pack)")
        .contains(
            "sha256.all-minilm-l6-v2-tokenizer.json:"
                + " 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a (expected: ");
  }

  @Test
  void aGpuThatIsNotThereIsFoundBeforeAnyWork() throws IOException {
    Result result =
        TestJobs.run(
            "embed",
            "--input",
            input(),
            "--model",
            TestJobs.MINILM,
            "--output",
            folder + "/out",
            "--device",
            "gpu");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains("device: gpu (expected: a GPU that OnnxRuntime can see; found none.");
  }

  @Test
  void aConfigFileGivesOptionsAndTheCommandLineWins() throws IOException {
    Path in = Files.writeString(folder.resolve("in.txt"), "one\n");
    Path config =
        Files.writeString(
            folder.resolve("c.yaml"),
            "input: ["
                + in
                + "]\nmodel: "
                + TestJobs.MINILM
                + "\noutput: "
                + folder
                + "/a\ndry-run: true\n");
    Result result = TestJobs.run("embed", "--config=" + config, "--output", folder + "/b");
    assertThat(result.err()).isEmpty();
    assertThat(result.status()).isZero();
    assertThat(result.out()).contains("lakegen embed would", "write  file:" + folder + "/b");
    assertThat(folder.resolve("b")).doesNotExist();
  }

  @Test
  void aBrokenConfigFileIsWrongUse() throws IOException {
    Path config = Files.writeString(folder.resolve("c.yaml"), "a: b: c\n");
    assertThat(TestJobs.run("embed", "--config", config).err())
        .contains("c.yaml (expected: valid YAML; mapping values");
    assertThat(TestJobs.run("embed", "--config", folder + "/no.yaml").err())
        .contains("config: " + folder + "/no.yaml (expected: an existing file)");
  }

  @Test
  void aMissingModelOrOutputHidesNoOtherMistake() throws IOException {
    Result result = TestJobs.run("embed", "--input", input(), "--column", "txt", "--limit", 0);
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .contains("limit: 0 (expected: 1 or more)")
        .contains("model: missing (expected: --model or the key model of --config)")
        .contains("output: missing (expected: --output or the key output of --config)")
        .contains("column: txt is not in the input (expected: one of [embedding, id, text]");
  }

  @Test
  void anOptionWithoutItsValueIsOneMistake() {
    assertThat(TestJobs.run("embed", "--dry-run", "--seed").err())
        .contains("--seed: no value (expected: one)")
        .doesNotContain("seed: true");
    assertThat(TestJobs.run("embed", "--config").err())
        .contains("--config: no value (expected: one)")
        .doesNotContain("an existing file");
  }
}
