package io.lakegen.bench;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.decode.DecodingOptions;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackStore;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.generate.Generate;
import io.lakegen.task.generate.TextGenerator;
import io.lakegen.task.generate.TextGenerator.GeneratedText;
import io.lakegen.task.generate.TextGenerator.PreparedPrompt;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/**
 * Thousands of sampled generations with the demo's GPT-2: memory on the way, arrays left behind,
 * and how many texts come out otherwise with other batch shapes. {@code ./lakegen bench
 * generate-soak [GENERATIONS]}
 */
public final class GenerateSoakBench {
  private static final int WINDOW = 500;

  /** The memory is told each time so many texts are done. */
  private static final int REPORTED = 2000;

  private GenerateSoakBench() {}

  /** Runs the benchmark. */
  public static void main(String[] args) throws Exception {
    int generations = args.length > 0 ? Integer.parseInt(args[0]) : 10_000;
    List<String> words = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of("sample-data/prompts/words.jsonl"))) {
      words.add(new ObjectMapper().readTree(line).path("word").asText());
    }
    Report report = new Report("generate-soak");
    LoadedModel model =
        LoadedModel.load(
            PackStore.ofNode()
                .fetch(
                    Path.of("sample-data/models/definitions-gpt2").toAbsolutePath().toString(),
                    new Configuration()),
            Device.cpu(),
            // As in a job, whose tasks share out the cores. Threads that share a matrix product
            // round it as their number and its shape tell.
            1);
    try (model) {
      int arrays = arrays(model);
      List<GeneratedText> wide = generate(model, words, generations, 64 * 64, report);
      report.figure("arrays_left_behind", arrays(model) - arrays);
      List<GeneratedText> narrow = generate(model, words, generations, 7 * 64, null);
      int differing = 0;
      int roundedOtherwise = 0;
      long tokens = 0;
      for (int i = 0; i < generations; i++) {
        differing += wide.get(i).text().equals(narrow.get(i).text()) ? 0 : 1;
        roundedOtherwise +=
            wide.get(i).meanLogProbability() == narrow.get(i).meanLogProbability() ? 0 : 1;
        tokens += wide.get(i).tokenCount();
      }
      report.figure("tokens", (double) tokens);
      report.figure("texts_that_differ_between_64_and_7_slots", differing);
      report.figure("log_probabilities_that_differ", roundedOtherwise);
    }
    report.print();
  }

  private static List<GeneratedText> generate(
      LoadedModel model, List<String> words, int generations, long slots, Report report)
      throws Exception {
    TextGenerator generator =
        new Generate()
            .open(
                model,
                OptionValues.NONE
                    .with(DecodingOptions.MAX_NEW_TOKENS, 40)
                    .with(DecodingOptions.DO_SAMPLE, true)
                    .with(DecodingOptions.TEMPERATURE, 0.9),
                new Budget(slots));
    List<GeneratedText> texts = new ArrayList<>();
    long start = System.nanoTime();
    while (texts.size() < generations) {
      List<PreparedPrompt> window = new ArrayList<>();
      for (int i = texts.size(); i < texts.size() + WINDOW; i++) {
        String prompt = words.get(i % words.size()) + ":";
        byte[][] values = {prompt.getBytes(StandardCharsets.UTF_8)};
        window.add(generator.prepare(RowInput.of(List.of("{prompt}"), values, i)));
      }
      generator.infer(window).forEach(t -> texts.add(t.get(0)));
      if (report != null && texts.size() % REPORTED == 0) {
        report.figure("rss_mb_after_" + texts.size(), Report.memory("VmRSS"));
      }
    }
    if (report != null) {
      report.figure("generations_per_second", generations / ((System.nanoTime() - start) / 1e9));
    }
    return texts;
  }

  private static int arrays(LoadedModel model) {
    try (NDManager manager = model.newManager()) {
      return manager.getParentManager().getManagedArrays().size();
    }
  }
}
