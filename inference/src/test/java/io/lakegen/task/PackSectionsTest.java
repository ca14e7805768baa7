package io.lakegen.task;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.Tasks;
import io.lakegen.decode.Fixture;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a task finds wrong with its section of a pack. */
class PackSectionsTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Task, fixture, path of the key below the section, its bad value (none: left out), message. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          embed  | bert             | /pooling    | "average"  | tasks.feature-extraction.pooling: "average" (expected: one of [mean, cls, max, lastToken])
          embed  | bert             | /normalize  | "yes"      | tasks.feature-extraction.normalize: "yes" (expected: true or false)
          embed  | bert             | /dimension  |            | tasks.feature-extraction.dimension: missing (expected: a whole number above 0)
          embed  | bert             | /colour     | "red"      | tasks.feature-extraction.colour: unknown key (expected: one of [pooling, normalize, dimension])
          render | stable-diffusion | /scheduler  | "DDIM"     | tasks.text-to-image.scheduler: "DDIM" (expected: an object)
          render | stable-diffusion | /latents    |            | tasks.text-to-image.latents: missing (expected: an object)
          render | stable-diffusion | /latents/scalingFactor | 0 | tasks.text-to-image.latents.scalingFactor: 0 (expected: a number above 0)
          """)
  void namesKeyValueAndRule(String task, String fixture, String path, String value, String message)
      throws Exception {
    PackSpec good = Fixture.load(fixture).model().pack().spec();
    ObjectNode sections = good.sections().deepCopy();
    ObjectNode section = (ObjectNode) sections.elements().next();
    ObjectNode node = (ObjectNode) section.at(path.substring(0, path.lastIndexOf('/')));
    String key = path.substring(path.lastIndexOf('/') + 1);
    if (value == null) {
      node.remove(key);
    } else {
      node.set(key, JSON.readTree(value));
    }
    assertThat(problems(task, good)).isEmpty();
    PackSpec bad =
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
    assertThat(problems(task, bad)).contains(message);
  }

  private static List<String> problems(String task, PackSpec pack) {
    Problems problems = new Problems();
    Tasks.named(task).orElseThrow().check(OptionValues.NONE, pack, problems);
    return problems.list().stream().map(Problem::toString).toList();
  }
}
