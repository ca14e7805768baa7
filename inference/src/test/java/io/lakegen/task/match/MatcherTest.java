package io.lakegen.task.match;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.decode.Fixture;
import io.lakegen.image.ImageDecoder;
import io.lakegen.image.RgbImage;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInputs;
import io.lakegen.task.match.Matcher.Matched;
import io.lakegen.task.match.Matcher.Pair;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Scores and heat maps against transformers and PyTorch's autograd. */
class MatcherTest {
  private static final OptionValues HEAT = OptionValues.NONE.with(Match.HEAT_MAP, true);

  private final Fixture fixture = Fixture.load("blip-matching");
  private final JsonNode rows = fixture.expected().path("rows");

  private List<Pair> pairs(Matcher matcher) throws Exception {
    List<Pair> pairs = new ArrayList<>();
    for (JsonNode row : rows) {
      byte[] file = MatchContractTest.picture(row.path("image").asInt());
      pairs.add(matcher.prepare(RowInputs.of(0, "image", file, "text", row.path("text").asText())));
    }
    return pairs;
  }

  private static void assertScores(Matched found, JsonNode expected) {
    assertThat(found.itm()).isCloseTo((float) expected.path("itm").asDouble(), within(1e-5f));
    assertThat(found.itc()).isCloseTo((float) expected.path("itc").asDouble(), within(1e-5f));
  }

  /** Values against the reference, within 1e-4 of the row's largest. */
  private static void assertMaps(List<Object> values, JsonNode expected) {
    assertThat(values.get(2))
        .isEqualTo(Fixture.stream(expected.path("words")).map(JsonNode::asText).toList());
    float[] reference = Fixture.floats(expected.path("maps"));
    double largest = 0;
    for (float value : reference) {
      largest = Math.max(largest, value);
    }
    assertThat(largest).isPositive();
    List<?> maps = (List<?>) values.get(3);
    int patches = (int) values.get(4) * (int) values.get(5);
    assertThat(maps).hasSize(reference.length / patches);
    for (int w = 0; w < maps.size(); w++) {
      float[] map = (float[]) maps.get(w);
      assertThat(map).hasSize(patches);
      for (int p = 0; p < patches; p++) {
        assertThat((double) map[p])
            .as("word %d, patch %d", w, p)
            .isCloseTo(reference[w * patches + p], within(1e-4 * largest));
      }
    }
  }

  /** Eleven rows share four pictures; each row in a batch of all, alone, and in reverse. */
  @Test
  void batchesSingleRowsAndTheReferenceAgree() throws Exception {
    Matcher matcher = new Matcher(fixture.model(), HEAT);
    List<Pair> batch = pairs(matcher);
    assertThat(batch.stream().map(p -> p.ids().length).distinct().count()).isGreaterThan(4);
    List<Matched> together = matcher.infer(batch);
    for (int i = 0; i < batch.size(); i++) {
      Matched alone = matcher.infer(List.of(batch.get(i))).get(0);
      for (Matched found : List.of(together.get(i), alone)) {
        assertScores(found, rows.get(i));
        assertMaps(matcher.values(found).get(0), rows.get(i));
      }
    }
    matcher.check();
  }

  @Test
  void withoutHeatMapsThereAreTheScoresAlone() throws Exception {
    Matcher matcher = new Matcher(fixture.model(), OptionValues.NONE);
    List<Matched> found = matcher.infer(pairs(matcher));
    for (int i = 0; i < found.size(); i++) {
      assertScores(found.get(i), rows.get(i));
      assertThat(matcher.values(found.get(i)).get(0)).hasSize(2);
    }
  }

  @Test
  void wordsAreThoseOfTheTextWhateverItsPieces() throws Exception {
    Matcher matcher = new Matcher(fixture.model(), HEAT);
    String text = "  na\u00efve \ud83d\udef6\ud83d\udef6 boats, 12!";
    Pair pair =
        matcher.prepare(RowInputs.of(0, "image", MatchContractTest.picture(0), "text", text));
    assertThat(pair.words().stream().map(Word::text))
        .containsExactly("na\u00efve", "\ud83d\udef6\ud83d\udef6", "boats", ",", "12", "!");
    List<Integer> tokens = pair.words().stream().flatMap(w -> w.tokens().stream()).toList();
    assertThat(tokens).isSorted().doesNotHaveDuplicates().doesNotContain(0, pair.ids().length - 1);
  }

  @Test
  void overlaysAreAPngForEachWord() throws Exception {
    Matcher matcher = new Matcher(fixture.model(), HEAT.with(Match.OVERLAY, 48));
    Pair pair =
        matcher.prepare(
            RowInputs.of(0, "image", MatchContractTest.picture(1), "text", "The lake is still"));
    List<Object> values = matcher.values(matcher.infer(List.of(pair)).get(0)).get(0);
    List<?> overlays = (List<?>) values.get(6);
    assertThat(overlays).hasSize(4);
    List<Integer> different = new ArrayList<>();
    for (Object file : overlays) {
      RgbImage image = ImageDecoder.decode((byte[]) file, Integer.MAX_VALUE, Integer.MAX_VALUE);
      assertThat(image.width()).isEqualTo(48);
      assertThat(image.height()).isEqualTo(32);
      different.add(Arrays.hashCode(image.pixels()));
    }
    assertThat(different).doesNotHaveDuplicates();
  }

  @Test
  void aPackWithoutHeatMapsSaysWhatToDo() {
    PackSpec good = fixture.model().pack().spec();
    ObjectNode sections = good.sections().deepCopy();
    ((ObjectNode) sections.path(Match.PACK_TASK)).remove("heatMap");
    PackSpec plain =
        new PackSpec(
            sections,
            good.family(),
            good.engine(),
            good.dtype(),
            good.graphs(),
            good.sha256(),
            good.tokenizer(),
            good.image(),
            good.cache(),
            good.generation(),
            good.source());
    Problems problems = new Problems();
    new Match().check(OptionValues.NONE, plain, problems);
    assertThat(problems.list()).isEmpty();
    new Match().check(HEAT, plain, problems);
    new Match().check(OptionValues.NONE.with(Match.OVERLAY, 9), problems);
    assertThat(problems.list().stream().map(Problem::toString))
        .containsExactly(
            "heat-map: true (expected: a pack with heat maps; export the model again, with"
                + " --heat-map-layer N)",
            "overlay: 9 (expected: --heat-map with it)");
  }
}
