package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import io.lakegen.Fuzz;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackStore;
import io.lakegen.model.TestPacks;
import io.lakegen.task.embed.Embed;
import io.lakegen.task.generate.Generate;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Changed texts are tokens or rejected rows, nothing else. */
class TextFuzzTest {
  private static final List<String> TEXTS =
      List.of(
          "The boat lies on the lake.",
          "a",
          "\t\n\u3000 \u200B\uFEFF x",
          "naïve ﬁancé Å Å ǆ ẞ İ",
          "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301",
          "水の上の船 배 лодка قارب סירה เรือ",
          "👩‍👩‍👧‍👦🏳️‍🌈🛶\uD83C\uDDE9\uD83C\uDDEA",
          "[CLS] [SEP] [MASK] <s></s><|endoftext|><pad><unk> ##x ▁y Ġz",
          "{\"a\": [1, 2.5e300, null]}",
          "0123456789".repeat(40),
          "!?…—".repeat(100),
          "x".repeat(1000),
          "\u0000\u0001\u001F\u007F\u0085\u2028\uFFFD\uFFFF",
          "\u202Eabc\u202C \u2066x\u2069");

  @TempDir static Path cache;

  @ParameterizedTest
  @CsvSource({"bert, embed", "roberta, embed", "gpt2, generate", "t5, generate", "llama, generate"})
  void changedTextsAreTokensOrRejected(String fixture, String taskName) throws Exception {
    TaskDefinition definition = taskName.equals("embed") ? new Embed() : new Generate();
    Map<String, Integer> outcomes = new TreeMap<>();
    try (LoadedModel model =
        LoadedModel.load(
            new PackStore(cache).fetch(TestPacks.fixture(fixture).toString(), new Configuration()),
            Device.cpu(),
            1)) {
      Task<?, ?> task = definition.open(model, OptionValues.NONE, new Budget(100));
      String input = definition.inputs(OptionValues.NONE).get(0).name();
      Fuzz.run(
          "texts-" + fixture,
          400,
          TEXTS.stream().map(t -> t.getBytes(StandardCharsets.UTF_8)).toList(),
          // Most become UTF-8 again, or few would come to the tokenizer.
          (text, random) ->
              random.nextInt(5) == 0
                  ? text
                  : new String(text, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8),
          text -> outcomes.merge(outcome(task, RowInputs.of(1, input, text)), 1, Integer::sum));
    }
    System.out.println("fuzz texts-" + fixture + ": " + outcomes);
    assertThat(outcomes).containsKeys("prepared", "invalid_utf8");
  }

  private static <P> String outcome(Task<P, ?> task, RowInput row) {
    try {
      P prepared = task.prepare(row);
      assertThat(task.size(prepared)).isPositive();
      assertThat(task.cost(prepared)).isGreaterThanOrEqualTo(task.size(prepared));
      return "prepared";
    } catch (RowException e) {
      assertThat(e.error().stage()).isEqualTo("prepare");
      return e.error().type();
    }
  }
}
