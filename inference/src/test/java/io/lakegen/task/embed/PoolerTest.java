package io.lakegen.task.embed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.lakegen.task.embed.EmbeddingSpec.Pooling;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PoolerTest {
  /** Two texts of three tokens in two dimensions; the second text has one token of padding. */
  private static final float[] HIDDEN = {
    9, 9, 9, 9, 9, 9, //
    3, -4, 1, 8, 100, 100,
  };

  private static float[] pool(Pooling pooling, boolean normalize, int tokens) {
    return new Pooler(new EmbeddingSpec(pooling, normalize, 2, false)).pool(HIDDEN, 6, tokens);
  }

  @Test
  void mean() {
    assertThat(pool(Pooling.mean, false, 2)).containsExactly(2, 2);
  }

  @Test
  void cls() {
    assertThat(pool(Pooling.cls, false, 2)).containsExactly(3, -4);
  }

  @Test
  void max() {
    assertThat(pool(Pooling.max, false, 2)).containsExactly(3, 8);
  }

  @Test
  void lastToken() {
    assertThat(pool(Pooling.lastToken, false, 2)).containsExactly(1, 8);
  }

  @Test
  void normalized() {
    assertThat(pool(Pooling.cls, true, 1))
        .containsExactly(new float[] {0.6f, -0.8f}, within(1e-7f));
  }

  @Test
  void aZeroVectorStaysZero() {
    float[] zeros =
        new Pooler(new EmbeddingSpec(Pooling.mean, true, 2, false)).pool(new float[2], 0, 1);
    assertThat(zeros).containsExactly(0, 0);
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void whatIsNoNumberIsNoResult(float bad) {
    Pooler pooler = new Pooler(new EmbeddingSpec(Pooling.mean, false, 2, false));
    assertThatThrownBy(() -> pooler.pool(new float[] {1, bad}, 0, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the model's vector holds NaN or infinity (expected: finite numbers)");
  }
}
