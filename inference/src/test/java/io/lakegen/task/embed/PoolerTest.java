package io.lakegen.task.embed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.task.embed.EmbeddingSpec.Pooling;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
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

  /** On the device, in one batch with a text that has no padding. */
  @ParameterizedTest
  @EnumSource(Pooling.class)
  void theDevicePoolsAlike(Pooling pooling) {
    Pooler pooler = new Pooler(new EmbeddingSpec(pooling, false, 2, false));
    try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
      NDArray hidden = manager.create(HIDDEN, new Shape(2, 3, 2));
      NDArray mask = manager.create(new long[] {1, 1, 1, 1, 1, 0}, new Shape(2, 3));
      NDArray pooled = pooler.pool(hidden, mask);
      assertThat(pooled.getShape()).isEqualTo(new Shape(2, 2));
      float[] one = pooler.pool(HIDDEN, 0, 3);
      float[] other = pooler.pool(HIDDEN, 6, 2);
      assertThat(pooled.toFloatArray()).containsExactly(one[0], one[1], other[0], other[1]);
    }
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
