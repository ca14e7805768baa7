package io.lakegen.task;

/**
 * Random numbers that depend on a row's seed and on what they are for, never on what was drawn
 * before: a counter-based generator, SplitMix64's output function (Steele, Lea and Flood, OOPSLA
 * 2014) applied to a counter. The same on every machine.
 */
public final class CounterRandom {
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  private CounterRandom() {}

  /**
   * A uniform number in [0, 1) with 52 bits, so that its product with a sum stays below it.
   *
   * @param stream tells apart what the numbers are for
   * @param index of the number in its stream
   */
  public static double uniform(long seed, long stream, long index) {
    return (bits(seed, stream, index) >>> 12) * 0x1.0p-52;
  }

  /**
   * Independent standard normal numbers (Box and Muller, 1958).
   *
   * @param stream tells apart what the numbers are for
   */
  public static float[] gaussian(long seed, long stream, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i += 2) {
      // In (0, 1]: the logarithm of 0 is infinite.
      double radius = StrictMath.sqrt(-2 * StrictMath.log(1 - uniform(seed, stream, i)));
      double angle = 2 * Math.PI * uniform(seed, stream, i + 1L);
      values[i] = (float) (radius * StrictMath.cos(angle));
      if (i + 1 < count) {
        values[i + 1] = (float) (radius * StrictMath.sin(angle));
      }
    }
    return values;
  }

  private static long bits(long seed, long stream, long index) {
    long start = mix(seed + (stream + 1) * GOLDEN_GAMMA);
    return mix(start + (index + 1) * GOLDEN_GAMMA);
  }

  private static long mix(long value) {
    long z = (value ^ (value >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
