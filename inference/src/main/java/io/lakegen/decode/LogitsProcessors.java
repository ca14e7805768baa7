package io.lakegen.decode;

import static io.lakegen.decode.DecodingOptions.MIN_NEW_TOKENS;
import static io.lakegen.decode.DecodingOptions.NO_REPEAT_NGRAM_SIZE;
import static io.lakegen.decode.DecodingOptions.REPETITION_PENALTY;
import static io.lakegen.decode.DecodingOptions.TEMPERATURE;
import static io.lakegen.decode.DecodingOptions.TOP_K;
import static io.lakegen.decode.DecodingOptions.TOP_P;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.lakegen.model.PackSpec;
import io.lakegen.task.OptionValues;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * Hugging Face's logits processors and warpers, on the device, in the order of {@code
 * GenerationMixin._get_logits_processor}. Thread-safe.
 */
final class LogitsProcessors {
  private final OptionValues options;
  private final PackSpec.Generation model;

  LogitsProcessors(OptionValues options, PackSpec.Generation model) {
    this.options = options;
    this.model = model;
  }

  /**
   * Applies the processors that every way of decoding has.
   *
   * @param scores {@code [rows, vocabulary]}, float32; not changed
   * @return the same shape, owned by the same manager; may be {@code scores} itself
   */
  NDArray process(NDArray scores, List<DecodeRow> rows) {
    int vocabulary = (int) scores.getShape().get(1);
    NDArray result = scores;
    if (options.get(REPETITION_PENALTY) != 1) {
      result = penalise(result, index(rows, vocabulary, LogitsProcessors::seen));
    }
    result = ban(result, index(rows, vocabulary, this::repeatsAndEarlyEnds));
    result = force(result, rows);
    return ban(result, index(rows, vocabulary, (row, ids) -> model.suppress().forEach(ids::add)));
  }

  /** Temperature, top-k and top-p, which shape the distribution of a draw. */
  NDArray warp(NDArray scores) {
    NDArray result =
        options.get(TEMPERATURE) == 1 ? scores : scores.div(options.get(TEMPERATURE).floatValue());
    int vocabulary = (int) scores.getShape().get(1);
    if (options.get(TOP_K) > 0 && options.get(TOP_K) < vocabulary) {
      NDArray best = result.topK(options.get(TOP_K), 1, true, true).get(0);
      NDArray kept =
          best.get(
              new NDIndex().addAllDim().addSliceDim(options.get(TOP_K) - 1, options.get(TOP_K)));
      result = mask(result, result.lt(kept));
    }
    return options.get(TOP_P) < 1 ? topP(result) : result;
  }

  private NDArray topP(NDArray scores) {
    // A sort of the whole vocabulary costs more than the model's own step; after top-k few tokens
    // are left (more than k where some tie), and only they count.
    int left =
        (int)
            scores
                .gt(Float.NEGATIVE_INFINITY)
                .toType(DataType.INT64, false)
                .sum(new int[] {1})
                .max()
                .getLong();
    NDList sorted = scores.topK(left, 1, true, true);
    // The reference sums from the least token up and removes while the sum is at most 1 - p.
    NDArray ascending = sorted.get(0).flip(1);
    NDArray removed = ascending.softmax(1).cumSum(1).lte((float) (1 - options.get(TOP_P)));
    NDArray keepBest = scores.getManager().arange(left).lt(left - 1).broadcast(removed.getShape());
    NDArray values = mask(ascending, removed.logicalAnd(keepBest));
    NDArray nothing =
        scores.getManager().full(scores.getShape(), Float.NEGATIVE_INFINITY, DataType.FLOAT32);
    return nothing.scatter(sorted.get(1).flip(1), values, 1);
  }

  private static NDArray mask(NDArray scores, NDArray removed) {
    NDArray nothing =
        scores.getManager().full(scores.getShape(), Float.NEGATIVE_INFINITY, DataType.FLOAT32);
    return NDArrays.where(removed, nothing, scores);
  }

  private static void seen(DecodeRow row, Set<Integer> ids) {
    for (int i = 0; i < row.size(); i++) {
      ids.add((int) row.token(i));
    }
  }

  private void repeatsAndEarlyEnds(DecodeRow row, Set<Integer> ids) {
    int n = options.get(NO_REPEAT_NGRAM_SIZE);
    for (int start = 0; n > 0 && start + n <= row.size(); start++) {
      boolean same = true;
      for (int i = 0; same && i < n - 1; i++) {
        same = row.token(start + i) == row.token(row.size() - n + 1 + i);
      }
      if (same) {
        ids.add((int) row.token(start + n - 1));
      }
    }
    if (row.generated() < options.get(MIN_NEW_TOKENS)) {
      ids.addAll(model.eos());
    }
  }

  private NDArray penalise(NDArray scores, long[] index) {
    NDManager manager = scores.getManager();
    NDArray flat = scores.reshape(scores.size());
    NDArray at = manager.create(index);
    NDArray values = flat.gather(at, 0);
    float penalty = options.get(REPETITION_PENALTY).floatValue();
    NDArray penalised = NDArrays.where(values.lt(0), values.mul(penalty), values.div(penalty));
    return flat.scatter(at, penalised, 0).reshape(scores.getShape());
  }

  private static NDArray ban(NDArray scores, long[] index) {
    return index.length == 0 ? scores : put(scores, index, Float.NEGATIVE_INFINITY);
  }

  private static NDArray put(NDArray scores, long[] index, float value) {
    NDManager manager = scores.getManager();
    return scores
        .reshape(scores.size())
        .scatter(
            manager.create(index),
            manager.full(new Shape(index.length), value, DataType.FLOAT32),
            0)
        .reshape(scores.getShape());
  }

  private NDArray force(NDArray scores, List<DecodeRow> rows) {
    NDArray result = scores;
    int vocabulary = (int) scores.getShape().get(1);
    for (int r = 0; r < rows.size(); r++) {
      OptionalInt forced = forced(rows.get(r));
      if (forced.isPresent()) {
        long start = (long) r * vocabulary;
        result =
            put(
                result,
                LongStream.range(start, start + vocabulary).toArray(),
                Float.NEGATIVE_INFINITY);
        result = put(result, new long[] {start + forced.getAsInt()}, 0);
      }
    }
    return result;
  }

  private OptionalInt forced(DecodeRow row) {
    if (model.forcedEos().isPresent() && row.generated() == row.group.request.maxNewTokens() - 1) {
      return model.forcedEos();
    }
    return row.size() == 1 ? model.forcedBos() : OptionalInt.empty();
  }

  private static long[] index(
      List<DecodeRow> rows,
      int vocabulary,
      java.util.function.BiConsumer<DecodeRow, Set<Integer>> ids) {
    LongStream.Builder index = LongStream.builder();
    Set<Integer> ofRow = new HashSet<>();
    for (int r = 0; r < rows.size(); r++) {
      ofRow.clear();
      ids.accept(rows.get(r), ofRow);
      long start = (long) r * vocabulary;
      ofRow.stream().filter(id -> id < vocabulary).forEach(id -> index.add(start + id));
    }
    return index.build().toArray();
  }
}
