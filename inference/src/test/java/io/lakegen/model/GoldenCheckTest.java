package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GoldenCheckTest {
  @TempDir Path temp;
  private Path copy;

  @BeforeEach
  void makeFolder() throws IOException {
    copy = Files.createDirectory(temp.resolve("copy"));
  }

  private void load(Consumer<ObjectNode> change) throws IOException {
    TestPacks.copyWithGolden("gpt2", copy, change);
    ModelPack pack =
        new PackStore(temp.resolve("cache")).fetch(copy.toString(), new Configuration());
    LoadedModel.load(pack, Device.cpu(), 1).close();
  }

  private static ObjectNode step(ObjectNode golden, int step) {
    return (ObjectNode) golden.path("graphs").path(step);
  }

  @Test
  void anUnchangedPackPasses() throws IOException {
    load(golden -> {});
  }

  @Test
  void aWrongValueIsRefusedWithTheDifference() {
    assertThatThrownBy(
            () ->
                load(
                    golden -> {
                      golden.put("tolerance", 0.25);
                      ArrayNode data = (ArrayNode) step(golden, 1).at("/outputs/0/data");
                      data.set(3, data.get(3).asDouble() + 2);
                    }))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageMatching(
            "model pack .* on cpu\\(\\): decoder output 0: differs from the reference by"
                + " (1\\.999\\d*|2\\.0(00\\d*)?) \\(expected: at most 0\\.25\\)");
  }

  @Test
  void notANumberIsWrongWhateverTheTolerance() {
    assertThatThrownBy(
            () ->
                load(
                    golden -> {
                      golden.put("tolerance", 1e30);
                      // As a float this is infinite, and infinity times zero is not a number.
                      ((ObjectNode) step(golden, 0).at("/inputs/3")).put("fill", 1e300);
                    }))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageContaining(
            "decoder output 0: differs from the reference by Infinity (expected: at most 1.0E30)");
  }

  @Test
  void aWrongShapeIsRefused() {
    assertThatThrownBy(
            () ->
                load(
                    golden ->
                        ((ArrayNode) step(golden, 0).at("/outputs/0/shape")).removeAll().add(7)))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageContaining("decoder output 0: shape (3, 320) (expected: (7))");
  }

  @Test
  void wrongTokensAreRefused() {
    assertThatThrownBy(
            () ->
                load(
                    golden -> {
                      ObjectNode entry = (ObjectNode) golden.at("/tokenizer/0");
                      entry.put("text", "x").putArray("ids").add(1).add(2);
                    }))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageMatching(".*: tokens of 'x': \\[\\d+] \\(expected: \\[1, 2]\\)");
  }

  @Test
  void everyProblemIsNamed() {
    assertThatThrownBy(
            () ->
                load(
                    golden -> {
                      for (int i = 0; i < 2; i++) {
                        ((ArrayNode) step(golden, i).at("/outputs/0/data")).set(0, 1e6);
                      }
                    }))
        .isInstanceOfSatisfying(
            InvalidPackException.class, e -> assertThat(e.problems()).hasSize(2));
  }

  @Test
  void aFileThatComparesNothingProvesNothing() {
    assertThatThrownBy(
            () ->
                load(
                    golden ->
                        golden
                            .path("graphs")
                            .forEach(
                                step -> ((ArrayNode) step.path("outputs")).removeAll().addNull())))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageEndingWith(
            "golden.json: no values (expected: outputs or embeddings to compare with)");
  }

  @Test
  void anUnknownGraphIsRefused() {
    assertThatThrownBy(() -> load(golden -> step(golden, 0).put("graph", "unet")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("graph: unet (expected: one of [decoder])");
  }
}
