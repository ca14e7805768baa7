package io.lakegen.decode;

import static io.lakegen.decode.DecodingOptions.DO_SAMPLE;
import static io.lakegen.decode.DecodingOptions.MAX_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.NUM_BEAMS;
import static io.lakegen.decode.DecodingOptions.NUM_RETURN_SEQUENCES;
import static io.lakegen.decode.DecodingOptions.TEMPERATURE;
import static io.lakegen.decode.DecodingOptions.TOP_P;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfEnvironmentVariable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class DecodeLoopTest {
  private static final String ROUNDING = "a GPU's kernels round by the number of tokens";

  private static final OptionValues SAMPLING =
      OptionValues.NONE
          .with(DO_SAMPLE, true)
          .with(MAX_NEW_TOKENS, 24)
          .with(TEMPERATURE, 1.3)
          .with(TOP_P, 0.95);
  private static final Fixture GPT2 = Fixture.load("gpt2");

  /** Sees every join of a causal model, and fails where it is told to. */
  private static class Joins implements ContextEncoder<Long> {
    final List<Integer> rows = new ArrayList<>();
    final List<Integer> arrays = new ArrayList<>();

    @Override
    public NDList encode(List<Long> inputs, NDArray cache) {
      rows.add(inputs.size());
      arrays.add(arrays(cache.getManager().getParentManager()));
      return new NDList();
    }

    @Override
    public int length(Long input) {
      return 0;
    }
  }

  private static int arrays(NDManager manager) {
    return manager.getManagedArrays().size();
  }

  private static List<DecodeRequest<Long>> requests(int count) {
    List<long[]> prompts = GPT2.prompts();
    List<DecodeRequest<Long>> requests = new ArrayList<>();
    for (long seed = 0; seed < count; seed++) {
      requests.add(
          new DecodeRequest<>(prompts.get((int) seed % prompts.size()), 24, seed * 7919, seed));
    }
    return requests;
  }

  private static Map<Long, List<long[]>> tokens(
      OptionValues options,
      List<DecodeRequest<Long>> requests,
      ContextEncoder<Long> encoder,
      long slots) {
    List<List<DecodedSequence>> decoded =
        new DecodeLoop<>(
                GPT2.model(), options, encoder, new Budget(slots * 64), DecodeLoop.BudgetUnit.SLOTS)
            .run(requests);
    Map<Long, List<long[]>> byRow = new HashMap<>();
    for (int i = 0; i < requests.size(); i++) {
      byRow.put(
          requests.get(i).context(), decoded.get(i).stream().map(DecodedSequence::tokens).toList());
    }
    return byRow;
  }

  private static void assertSame(Map<Long, List<long[]>> actual, Map<Long, List<long[]>> expected) {
    assertThat(actual).hasSameSizeAs(expected);
    expected.forEach(
        (row, sequences) ->
            assertThat(actual.get(row).toArray(long[][]::new))
                .as("row %d", row)
                .isDeepEqualTo(sequences.toArray(long[][]::new)));
  }

  @Test
  void theSameSeedGivesTheSameTokensForAnyBatchAndSlotCount() {
    List<DecodeRequest<Long>> requests = requests(60);
    Map<Long, List<long[]>> expected = tokens(SAMPLING, requests, ContextEncoder.none(), 64);
    assertThat(expected.values().stream().map(s -> s.get(0).length).distinct())
        .hasSizeGreaterThan(3);
    for (int slots : new int[] {1, 5, 16}) {
      List<DecodeRequest<Long>> shuffled = new ArrayList<>(requests);
      Collections.shuffle(shuffled, new Random(slots));
      Map<Long, List<long[]>> actual = new HashMap<>();
      // Partitions: a call for each.
      for (List<DecodeRequest<Long>> part :
          List.of(shuffled.subList(0, 13), shuffled.subList(13, 60))) {
        actual.putAll(tokens(SAMPLING, part, ContextEncoder.none(), slots));
      }
      assertSame(actual, expected);
    }
  }

  @Test
  void sequencesOfAPromptDiffer() {
    OptionValues three =
        OptionValues.NONE
            .with(DO_SAMPLE, true)
            .with(MAX_NEW_TOKENS, 24)
            .with(NUM_RETURN_SEQUENCES, 3);
    List<long[]> sequences = tokens(three, requests(1), ContextEncoder.none(), 64).get(0L);
    assertThat(sequences).hasSize(3);
    assertThat(sequences.get(0)).isNotEqualTo(sequences.get(1));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void outOfMemoryHalvesTheSlotsAndLosesNothing(int failing) {
    for (OptionValues options :
        List.of(SAMPLING, OptionValues.NONE.with(MAX_NEW_TOKENS, 24).with(NUM_BEAMS, 3))) {
      Map<Long, List<long[]>> expected =
          tokens(options, requests(40), ContextEncoder.none(), 16L * options.get(NUM_BEAMS));
      Joins encoder =
          new Joins() {
            @Override
            public NDList encode(List<Long> inputs, NDArray cache) {
              super.encode(inputs, cache);
              if (rows.size() == failing) {
                throw new EngineException("CUDA out of memory. Tried to allocate 2.00 GiB");
              }
              return new NDList();
            }
          };
      assertSame(tokens(options, requests(40), encoder, 16L * options.get(NUM_BEAMS)), expected);
      assertThat(encoder.rows).hasSizeGreaterThan(failing);
      assertThat(encoder.rows.get(failing)).isLessThanOrEqualTo(8 * options.get(NUM_BEAMS));
    }
  }

  @Test
  void outOfMemoryOfASingleRowIsThrown() {
    Joins encoder =
        new Joins() {
          @Override
          public NDList encode(List<Long> inputs, NDArray cache) {
            super.encode(inputs, cache);
            throw new EngineException("CUDA out of memory");
          }
        };
    assertThatThrownBy(() -> tokens(SAMPLING, requests(10), encoder, 8))
        .isInstanceOf(EngineException.class)
        .hasMessage("CUDA out of memory");
    assertThat(encoder.rows).containsExactly(8, 4, 2, 1);
  }

  @Test
  void noArrayIsLeftBehind() {
    Joins encoder = new Joins();
    NDManager models = GPT2.model().newManager();
    NDManager parent = models.getParentManager();
    models.close();
    int before = arrays(parent);
    tokens(SAMPLING, requests(300), encoder, 8);
    tokens(
        OptionValues.NONE.with(MAX_NEW_TOKENS, 12).with(NUM_BEAMS, 3), requests(60), encoder, 24);
    assertThat(arrays(parent)).isEqualTo(before);
    // While it runs: as many after hundreds of steps as after the first.
    assertThat(encoder.arrays).hasSizeGreaterThan(50);
    assertThat(encoder.arrays.stream().mapToInt(a -> a).max().orElseThrow())
        .isEqualTo(encoder.arrays.get(0));
  }

  @Test
  void aLongPromptHasSlotsOfItsOwn() {
    List<DecodeRequest<Long>> requests = new ArrayList<>();
    requests.add(new DecodeRequest<>(new long[70], 2, 0, 0L));
    for (long i = 1; i < 9; i++) {
      requests.add(new DecodeRequest<>(new long[] {i + 40}, 2, 0, i));
    }
    Joins encoder = new Joins();
    tokens(OptionValues.NONE.with(MAX_NEW_TOKENS, 2), requests, encoder, 4);
    // 256 slots: eight short rows of 32 fit beside each other, not behind one of 96.
    assertThat(encoder.rows).containsExactly(1, 8);
  }

  /** A causal model whose joins can be watched, and that says what it is. */
  private static class SharingJoins extends Joins {
    @Override
    public boolean seesTokensOnly() {
      return true;
    }
  }

  /** The seed of {@link #alike}. */
  private static final long ALIKE = 5;

  private static long[] template(Random random) {
    return random.longs(32, 3, 200).toArray();
  }

  /** Prompts of up to 40 tokens: two families, one within the other, and loners; shuffled. */
  private static List<DecodeRequest<Long>> alike(int count) {
    Random random = new Random(ALIKE);
    long[] template = template(random);
    List<DecodeRequest<Long>> requests = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      int shared = List.of(32, 17, 0).get((int) i % 3);
      long[] own = random.longs(1 + random.nextInt(8), 3, 200).toArray();
      long[] tokens =
          LongStream.concat(Arrays.stream(template, 0, shared), Arrays.stream(own)).toArray();
      requests.add(new DecodeRequest<>(tokens, 20, i * 7919, i));
    }
    Collections.shuffle(requests, random);
    return requests;
  }

  private static List<List<DecodedSequence>> decode(
      OptionValues options,
      List<DecodeRequest<Long>> requests,
      ContextEncoder<Long> encoder,
      long slots) {
    return new DecodeLoop<>(
            GPT2.model(), options, encoder, new Budget(slots * 64), DecodeLoop.BudgetUnit.SLOTS)
        .run(requests);
  }

  private static void assertBitwiseEqual(
      List<List<DecodedSequence>> actual, List<List<DecodedSequence>> expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.size(); i++) {
      for (int s = 0; s < expected.get(i).size(); s++) {
        DecodedSequence sequence = actual.get(i).get(s);
        assertThat(sequence.tokens()).isEqualTo(expected.get(i).get(s).tokens());
        assertThat(sequence.logProbability()).isEqualTo(expected.get(i).get(s).logProbability());
        assertThat(sequence.score()).isEqualTo(expected.get(i).get(s).score());
      }
    }
  }

  static List<OptionValues> strategies() {
    OptionValues twenty = OptionValues.NONE.with(MAX_NEW_TOKENS, 20);
    return List.of(
        twenty,
        twenty.with(NUM_BEAMS, 3),
        twenty.with(DO_SAMPLE, true).with(TEMPERATURE, 1.3),
        twenty.with(DO_SAMPLE, true).with(NUM_RETURN_SEQUENCES, 3));
  }

  @DisabledIfEnvironmentVariable(
      named = "LAKEGEN_TEST_DEVICE",
      matches = "gpu",
      disabledReason = ROUNDING)
  @ParameterizedTest
  @MethodSource("strategies")
  void aSharedPrefixChangesNoBit(OptionValues options) {
    PrefixStore store = PrefixStore.of(GPT2.model());
    List<DecodeRequest<Long>> requests = alike(90);
    List<List<DecodedSequence>> expected = decode(options, requests, new Joins(), 64);
    for (int slots : new int[] {64, 7, 1}) {
      store.clear();
      assertBitwiseEqual(decode(options, requests, new SharingJoins(), slots), expected);
      // 32 slots for each of the two prefixes, as long as a quarter of the budget has room.
      assertThat(store.slots()).isEqualTo(slots == 64 ? 64 : slots == 7 ? 64 : 0);
      // What is kept serves a single row of a later call.
      assertBitwiseEqual(
          decode(options, requests.subList(0, 1), new SharingJoins(), slots),
          expected.subList(0, 1));
    }
  }

  @DisabledIfEnvironmentVariable(
      named = "LAKEGEN_TEST_DEVICE",
      matches = "gpu",
      disabledReason = ROUNDING)
  @Test
  void keptPrefixesStayInTheirPartOfTheBudget() {
    PrefixStore store = PrefixStore.of(GPT2.model());
    store.clear();
    OptionValues options = OptionValues.NONE.with(MAX_NEW_TOKENS, 4);
    Random random = new Random(9);
    List<DecodeRequest<Long>> requests = new ArrayList<>();
    for (long family = 0; family < 12; family++) {
      long[] template = random.longs(32, 3, 200).toArray();
      for (long i = 0; i < 10; i++) {
        long[] tokens = Arrays.copyOf(template, 34);
        tokens[32] = 3 + i;
        tokens[33] = 3 + family;
        requests.add(new DecodeRequest<>(tokens, 4, 0, family * 100 + i));
      }
    }
    Collections.shuffle(requests, random);
    List<List<DecodedSequence>> expected = decode(options, requests, new Joins(), 8);
    assertBitwiseEqual(decode(options, requests, new SharingJoins(), 8), expected);
    assertThat(store.slots()).isEqualTo(8 * 64 / 4);
  }

  @DisabledIfEnvironmentVariable(
      named = "LAKEGEN_TEST_DEVICE",
      matches = "gpu",
      disabledReason = ROUNDING)
  @Test
  void threadsShareWhatIsKept() throws Exception {
    PrefixStore store = PrefixStore.of(GPT2.model());
    List<DecodeRequest<Long>> requests = alike(90);
    List<List<DecodedSequence>> expected = decode(SAMPLING, requests, new Joins(), 16);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      for (int round = 0; round < 3; round++) {
        store.clear();
        List<Callable<List<List<DecodedSequence>>>> runs =
            Collections.nCopies(4, () -> decode(SAMPLING, requests, new SharingJoins(), 16));
        for (Future<List<List<DecodedSequence>>> run : threads.invokeAll(runs)) {
          assertBitwiseEqual(run.get(), expected);
        }
        assertThat(store.slots()).isEqualTo(64);
      }
    } finally {
      threads.shutdown();
    }
  }

  /** A loop that reads the first 11 tokens of {@link #alike}'s template from one place. */
  private static List<List<DecodedSequence>> decodeBehind(
      OptionValues options, List<DecodeRequest<Long>> requests, long slots) {
    return new DecodeLoop<>(
            GPT2.model(),
            options,
            ContextEncoder.<Long>none(),
            new Budget(slots * 64),
            DecodeLoop.BudgetUnit.SLOTS,
            Arrays.copyOf(template(new Random(ALIKE)), 11))
        .run(requests);
  }

  @DisabledIfEnvironmentVariable(
      named = "LAKEGEN_TEST_DEVICE",
      matches = "gpu",
      disabledReason = "a GPU's rows have copies")
  @ParameterizedTest
  @MethodSource("strategies")
  void rowsThatFollowACommonPrefixNeverDependOnTheirNeighbours(OptionValues options) {
    PrefixStore store = PrefixStore.of(GPT2.model());
    store.clear();
    List<DecodeRequest<Long>> requests = alike(90);
    List<List<DecodedSequence>> copied = decode(options, requests, new Joins(), 64);
    List<List<DecodedSequence>> expected = decodeBehind(options, requests, 64);
    // Those that share 21 tokens more, of which 16 are kept, copy them beside what all read.
    assertThat(store.slots()).isEqualTo(64);
    // Partitions: a call for each, too small to share more.
    store.clear();
    assertBitwiseEqual(decodeBehind(options, requests.subList(0, 20), 64), expected.subList(0, 20));
    assertBitwiseEqual(
        decodeBehind(options, requests.subList(20, 40), 7), expected.subList(20, 40));
    assertBitwiseEqual(
        decodeBehind(options, requests.subList(40, 44), 1), expected.subList(40, 44));
    assertThat(store.slots()).isEqualTo(32);
    // It rounds otherwise than a copy, far below what any of these tokens hangs on.
    for (int i = 0; i < copied.size(); i++) {
      for (int s = 0; s < copied.get(i).size(); s++) {
        DecodedSequence sequence = expected.get(i).get(s);
        assertThat(sequence.tokens()).isEqualTo(copied.get(i).get(s).tokens());
        assertThat(sequence.logProbability())
            .isCloseTo(copied.get(i).get(s).logProbability(), within(1e-3));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void outOfMemoryGivesKeptPrefixesBackAndLosesNothing(int failing) {
    PrefixStore store = PrefixStore.of(GPT2.model());
    for (OptionValues options : strategies()) {
      store.clear();
      List<List<DecodedSequence>> expected = decode(options, alike(60), new Joins(), 48);
      long[] kept = {-1};
      SharingJoins encoder =
          new SharingJoins() {
            @Override
            public NDList encode(List<Long> inputs, NDArray cache) {
              super.encode(inputs, cache);
              if (rows.size() == failing) {
                throw new EngineException("CUDA out of memory. Tried to allocate 2.00 GiB");
              }
              if (rows.size() == failing + 1) {
                kept[0] = store.slots();
              }
              return new NDList();
            }
          };
      List<List<DecodedSequence>> actual = decode(options, alike(60), encoder, 48);
      // Tokens that a row had when memory ran out are computed anew, which rounds otherwise.
      for (int i = 0; i < expected.size(); i++) {
        for (int s = 0; s < expected.get(i).size(); s++) {
          assertThat(actual.get(i).get(s).tokens()).isEqualTo(expected.get(i).get(s).tokens());
        }
      }
      assertThat(kept[0]).isBetween(0L, 64L);
    }
  }

  @Test
  void aSingleRowIsTriedWithoutSharingBeforeItFails() {
    SharingJoins encoder =
        new SharingJoins() {
          @Override
          public NDList encode(List<Long> inputs, NDArray cache) {
            super.encode(inputs, cache);
            throw new EngineException("CUDA out of memory");
          }
        };
    assertThatThrownBy(() -> decode(SAMPLING, alike(60), encoder, 8))
        .isInstanceOf(EngineException.class)
        .hasMessage("CUDA out of memory");
    int before = GPT2.model().device().isGpu() ? 2 : 3;
    assertThat(encoder.rows.subList(encoder.rows.size() - 3, encoder.rows.size()))
        .containsExactly(before, 1, 1);
    assertThat(PrefixStore.of(GPT2.model()).slots()).isZero();
  }

  @Test
  void rowsThatAStepComputesInAnyCaseAreUsed() {
    Joins encoder = new Joins();
    tokens(OptionValues.NONE.with(MAX_NEW_TOKENS, 24), requests(20), encoder, 6);
    assertThat(encoder.rows.get(0)).isEqualTo(GPT2.model().device().isGpu() ? 6 : 8);
  }

  @Test
  void sequencesOfAPromptAreComputedOnce() {
    OptionValues three =
        OptionValues.NONE
            .with(DO_SAMPLE, true)
            .with(MAX_NEW_TOKENS, 24)
            .with(NUM_RETURN_SEQUENCES, 3);
    Joins encoder = new Joins();
    tokens(three, requests(4), encoder, 64);
    assertThat(encoder.rows).containsExactly(4);
  }
}
