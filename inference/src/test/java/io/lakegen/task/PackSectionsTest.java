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
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
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
          embed  | bert             | /colour     | "red"      | tasks.feature-extraction.colour: unknown key (expected: one of [pooling, normalize, dimension, attentionLayer])
          embed  | dinov2           | /dimension  | 0          | tasks.image-feature-extraction.dimension: 0 (expected: a whole number above 0)
          embed  | clip             | /function   | "none"     | tasks.zero-shot-image-classification.function: "none" (expected: one of [softmax, sigmoid])
          embed  | clip             | /bias       | "0"        | tasks.zero-shot-image-classification.bias: "0" (expected: a number)
          embed  | clip             | /scale      |            | tasks.zero-shot-image-classification.scale: missing (expected: a number above 0)
          classify | vit-classes    | /labels     | []         | tasks.image-classification.labels: [] (expected: a list of texts)
          answer | bert-answers     | /cls        | -1         | tasks.question-answering.cls: -1 (expected: a token id)
          match  | blip-matching    | /imageTokens |           | tasks.image-text-matching.imageTokens: missing (expected: a whole number above 0)
          match  | blip-matching    | /heatMap/width | 0       | tasks.image-text-matching.heatMap.width: 0 (expected: a whole number above 0)
          match  | blip-matching    | /heatMap    | 6          | tasks.image-text-matching.heatMap: 6 (expected: an object)
          render | stable-diffusion | /scheduler  | "DDIM"     | tasks.text-to-image.scheduler: "DDIM" (expected: an object)
          render | stable-diffusion | /latents    |            | tasks.text-to-image.latents: missing (expected: an object)
          render | unclip           | /stages     | []         | tasks.text-to-image.stages: [] (expected: a list of objects)
          render | unclip           | /stages/1/kind | "prior" | tasks.text-to-image.stages: [prior, prior, superResolution] (expected: prior, base, superResolution in this order, one of them base)
          render | unclip           | /stages/0/vector | 0     | tasks.text-to-image.stages[0].vector: 0 (expected: a whole number above 0)
          render | unclip           | /stages/1/conditions | ["inpaint"] | tasks.text-to-image.stages[1].conditions: [inpaint] (expected: lowResolution, of a stage that follows another)
          render | unclip           | /stages/2/name | "enlarge" | model: a pack without enlarge (expected: one with it)
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

  /** A pack that lacks what its task needs is told of before any task starts. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          embed    | bert             | tokenizer
          embed    | clip             | tokenizer, image
          embed    | dinov2           | image
          classify | vit-classes      | image
          answer   | bert-answers     | tokenizer
          generate | gpt2             | tokenizer, cache, generation
          generate | t5               | tokenizer, cache, generation
          match    | blip-matching    | image, tokenizer
          caption  | git              | image, tokenizer, cache, generation
          render   | stable-diffusion | tokenizer, generation, image
          """)
  void namesSectionsThatAreMissing(String task, String fixture, String sections) throws Exception {
    PackSpec good = Fixture.load(fixture).model().pack().spec();
    PackSpec bad =
        new PackSpec(
            good.sections(),
            good.family(),
            good.engine(),
            good.dtype(),
            good.graphs(),
            good.sha256(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            good.source());
    assertThat(problems(task, bad))
        .extracting(p -> p.replaceAll("model: (\\w+): missing \\(expected: .+\\)", "$1"))
        .containsExactly(sections.split(", "));
  }

  @Test
  void anEncoderDecoderNeedsAStart() throws Exception {
    PackSpec good = Fixture.load("t5").model().pack().spec();
    PackSpec.Generation generation = good.generation().orElseThrow();
    PackSpec bad =
        new PackSpec(
            good.sections(),
            good.family(),
            good.engine(),
            good.dtype(),
            good.graphs(),
            good.sha256(),
            good.tokenizer(),
            good.image(),
            good.cache(),
            Optional.of(
                new PackSpec.Generation(
                    generation.bos(),
                    generation.eos(),
                    generation.pad(),
                    OptionalInt.empty(),
                    generation.forcedBos(),
                    generation.forcedEos(),
                    generation.suppress(),
                    generation.maxLength())),
            good.source());
    assertThat(problems("generate", bad))
        .containsExactly(
            "model: generation.decoderStart: missing (expected: the token that starts a decoder's"
                + " text)");
  }

  private static List<String> problems(String task, PackSpec pack) {
    Problems problems = new Problems();
    Tasks.named(task).orElseThrow().check(OptionValues.NONE, pack, problems);
    return problems.list().stream().map(Problem::toString).toList();
  }
}
