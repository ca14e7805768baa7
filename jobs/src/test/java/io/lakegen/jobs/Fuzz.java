package io.lakegen.jobs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/**
 * Gives changed inputs to code that must neither crash nor hang on any.
 *
 * <p>The normal run tries a few, always the same. {@code -Dlakegen.fuzz=10000} tries that many,
 * from a seed that is printed; {@code -Dlakegen.fuzz.seed=N} repeats them. The input that fails is
 * kept in {@code target/fuzz}. (The module jobs has a copy of this class: test classes are not
 * shared.)
 */
public final class Fuzz {
  /** Longer than any machine takes for one input, however busy it is. */
  private static final long HANGS_AFTER_SECONDS = 180;

  private static final int LONGEST_INPUT = 1 << 20;

  private Fuzz() {}

  /** What must not fail: throws nothing but what a caller cannot expect. */
  @FunctionalInterface
  public interface Target {
    void accept(byte[] input) throws Exception;
  }

  /** Changes an input further, such as to repair a checksum that would hide what lies behind it. */
  @FunctionalInterface
  public interface Mutation {
    byte[] apply(byte[] input, Random random);
  }

  private static final class Progress {
    private volatile int number;
    private volatile byte[] input = {};
    private volatile long since = System.nanoTime();
    private volatile Throwable failure;
  }

  /**
   * Runs a target.
   *
   * @param byDefault inputs in the normal run
   * @param corpus sound inputs to change
   * @param further applied to what was changed
   * @throws AssertionError that names seed, number and digest of the first input that fails or
   *     hangs
   */
  public static void run(
      String name, int byDefault, List<byte[]> corpus, Mutation further, Target target)
      throws Exception {
    int count = Integer.getInteger("lakegen.fuzz", byDefault);
    long seed =
        Long.getLong(
            "lakegen.fuzz.seed",
            System.getProperty("lakegen.fuzz") == null ? 1 : System.nanoTime());
    System.out.printf("fuzz %s: %d inputs, -Dlakegen.fuzz.seed=%d%n", name, count, seed);
    Progress progress = new Progress();
    Thread worker =
        new Thread(
            () -> {
              try {
                for (int i = 0; i < count; i++) {
                  Random random = new Random(seed * 1_000_003 + i);
                  byte[] input = further.apply(mutated(corpus, random), random);
                  progress.number = i;
                  progress.input = input;
                  progress.since = System.nanoTime();
                  target.accept(input);
                }
              } catch (Throwable failure) {
                progress.failure = failure;
              }
            },
            "fuzz-" + name);
    worker.setDaemon(true);
    worker.start();
    while (worker.isAlive()) {
      worker.join(1000);
      long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - progress.since);
      if (worker.isAlive() && seconds > HANGS_AFTER_SECONDS) {
        AssertionError hang =
            new AssertionError(words(name, seed, progress) + " hangs for " + seconds + " s");
        hang.setStackTrace(worker.getStackTrace());
        throw hang;
      }
    }
    if (progress.failure != null) {
      throw new AssertionError(
          words(name, seed, progress) + " fails: " + progress.failure, progress.failure);
    }
  }

  private static String words(String name, long seed, Progress progress) throws IOException {
    String digest = digest(progress.input);
    Path kept = Files.createDirectories(Path.of("target", "fuzz")).resolve(name + "-" + digest);
    Files.write(kept, progress.input);
    return String.format(
        "fuzz %s: input %d of seed %d (%d bytes, SHA-256 %s, kept in %s)",
        name, progress.number, seed, progress.input.length, digest, kept);
  }

  private static String digest(byte[] input) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(input));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static byte[] mutated(List<byte[]> corpus, Random random) {
    byte[] input = corpus.get(random.nextInt(corpus.size())).clone();
    int changes = 1 + random.nextInt(random.nextInt(4) == 0 ? 32 : 4);
    for (int i = 0; i < changes; i++) {
      input = changed(input, corpus, random);
    }
    return input.length <= LONGEST_INPUT ? input : Arrays.copyOf(input, LONGEST_INPUT);
  }

  private static byte[] changed(byte[] input, List<byte[]> corpus, Random random) {
    if (input.length == 0) {
      return corpus.get(random.nextInt(corpus.size())).clone();
    }
    int at = place(input.length, random);
    int length = 1 + random.nextInt(Math.min(input.length - at, 1 << random.nextInt(12)));
    switch (random.nextInt(9)) {
      case 0 -> input[at] ^= (byte) (1 << random.nextInt(8));
      case 1 -> input[at] = (byte) random.nextInt(256);
      case 2 -> input[at] = (byte) (random.nextBoolean() ? 0xFF : 0);
      case 3 -> number(input, at, random);
      case 4 -> {
        return Arrays.copyOf(input, random.nextInt(input.length + 1));
      }
      case 5 -> {
        return spliced(input, at, length, new byte[0]);
      }
      case 6 -> {
        byte[] piece = Arrays.copyOfRange(input, at, at + length);
        return spliced(input, place(input.length, random), 0, piece);
      }
      case 7 -> {
        byte[] other = corpus.get(random.nextInt(corpus.size()));
        int from = random.nextInt(other.length + 1);
        int to = Math.min(other.length, from + length);
        return spliced(input, at, random.nextBoolean() ? to - from : 0, other, from, to);
      }
      default -> {
        byte[] noise = new byte[length];
        random.nextBytes(noise);
        return spliced(input, at, random.nextBoolean() ? length : 0, noise);
      }
    }
    return input;
  }

  /** Headers matter more than the rest. */
  private static int place(int length, Random random) {
    return random.nextInt(random.nextBoolean() ? Math.min(length, 64) : length);
  }

  /** A number as large, as small or as odd as a header can hold, in either byte order. */
  private static void number(byte[] input, int at, Random random) {
    long[] values = {0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFFL, 0x80000000L, 65537};
    long value = values[random.nextInt(values.length)];
    int bytes = 1 << random.nextInt(3);
    boolean big = random.nextBoolean();
    for (int i = 0; i < bytes && at + i < input.length; i++) {
      input[at + i] = (byte) (value >>> (8 * (big ? bytes - 1 - i : i)));
    }
  }

  private static byte[] spliced(byte[] input, int at, int removed, byte[] piece) {
    return spliced(input, at, removed, piece, 0, piece.length);
  }

  private static byte[] spliced(byte[] input, int at, int removed, byte[] piece, int from, int to) {
    int rest = Math.min(input.length, at + removed);
    byte[] result = new byte[at + (to - from) + input.length - rest];
    System.arraycopy(input, 0, result, 0, at);
    System.arraycopy(piece, from, result, at, to - from);
    System.arraycopy(input, rest, result, at + to - from, input.length - rest);
    return result;
  }
}
