package io.lakegen.decode;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SharedPrefixTest {
  private static long[] prompt(int template, int length, long own, int more) {
    return IntStream.range(0, length + more)
        .mapToLong(i -> i < length ? template * 1000L + i : own * 100_000 + i)
        .toArray();
  }

  private static int[] lengths(List<long[]> prompts) {
    SharedPrefix[] found = SharedPrefix.find(prompts);
    return IntStream.range(0, found.length)
        .map(i -> found[i] == null ? 0 : found[i].tokens().length)
        .toArray();
  }

  @Test
  void aTemplateIsFoundInWholeSteps() {
    List<long[]> prompts = new ArrayList<>();
    for (int i = 1; i <= 10; i++) {
      prompts.add(prompt(0, 101, i, 5));
    }
    assertThat(lengths(prompts)).containsOnly(96);
    assertThat(SharedPrefix.find(prompts)).doesNotContainNull().allMatch(p -> p.parent() == null);
  }

  @Test
  void severalGroupsAndLonersAreToldApart() {
    List<long[]> prompts = new ArrayList<>();
    for (int i = 1; i <= 30; i++) {
      prompts.add(prompt(i % 3, i % 3 == 0 ? 0 : 40 * (i % 3), i, 7));
    }
    Collections.shuffle(prompts, new Random(1));
    int[] lengths = lengths(prompts);
    for (int i = 0; i < lengths.length; i++) {
      assertThat(lengths[i]).isEqualTo(prompts.get(i).length / 40 * 40);
    }
  }

  /** All share 64 tokens, half of them 128. */
  @Test
  void aGroupWithinAGroupStartsFromIt() {
    List<long[]> prompts = new ArrayList<>();
    for (int i = 1; i <= 20; i++) {
      prompts.add(prompt(0, i % 2 == 0 ? 64 : 128, i, 3));
    }
    SharedPrefix[] found = SharedPrefix.find(prompts);
    assertThat(found[1].tokens()).hasSize(64);
    assertThat(found[0].tokens()).hasSize(128);
    assertThat(found[0].parent()).isSameAs(found[1]);
    assertThat(found[0].order()).isNotEqualTo(found[1].order());
  }

  /** Two prompts save 255 tokens at most; 32 more that three of them share save 64. */
  @Test
  void whatSavesLittleIsNotShared() {
    assertThat(lengths(List.of(prompt(0, 255, 1, 2), prompt(0, 255, 2, 2)))).containsOnly(0);
    assertThat(lengths(List.of(prompt(0, 256, 1, 2), prompt(0, 256, 2, 2)))).containsOnly(256);
    List<long[]> prompts = new ArrayList<>();
    for (int i = 1; i <= 10; i++) {
      prompts.add(prompt(0, i <= 3 ? 96 : 64, i, 9));
    }
    assertThat(lengths(prompts)).containsOnly(64);
  }

  @Test
  void theLastTokenOfEveryPromptIsLeftToAStep() {
    assertThat(lengths(Collections.nCopies(40, prompt(0, 32, 0, 0)))).containsOnly(24);
    assertThat(lengths(Collections.nCopies(40, prompt(0, 33, 0, 0)))).containsOnly(32);
    assertThat(lengths(Collections.nCopies(400, prompt(0, 8, 0, 0)))).containsOnly(0);
    assertThat(lengths(List.of())).isEmpty();
    assertThat(lengths(List.of(prompt(0, 500, 0, 0)))).containsOnly(0);
  }
}
