package io.lakegen.decode;

import static io.lakegen.decode.DecodingOptions.DO_SAMPLE;
import static io.lakegen.decode.DecodingOptions.NUM_RETURN_SEQUENCES;

import ai.djl.ndarray.NDArray;
import io.lakegen.decode.DecodedSequence.FinishReason;
import io.lakegen.task.OptionValues;
import java.util.ArrayList;
import java.util.List;

/** Greedy decoding and sampling: every row goes its own way. */
final class SequenceDecoding implements DecodingStrategy {
  private final OptionValues options;
  private final LogitsProcessors processors;
  private final StoppingCriteria stopping;

  SequenceDecoding(OptionValues options, LogitsProcessors processors, StoppingCriteria stopping) {
    this.options = options;
    this.processors = processors;
    this.stopping = stopping;
  }

  @Override
  public int rowsPerGroup() {
    return 1;
  }

  @Override
  public int groupsPerRequest() {
    return options.get(NUM_RETURN_SEQUENCES);
  }

  @Override
  public void advance(NDArray logits, List<DecodeRow> rows, SlotBatch<?> batch) {
    NDArray scores = processors.process(logits, rows);
    NDArray next =
        options.get(DO_SAMPLE) ? Sampler.draw(processors.warp(scores), rows) : scores.argMax(1);
    float[] logProbabilities =
        logits.logSoftmax(1).gather(next.reshape(rows.size(), 1), 1).toFloatArray();
    long[] tokens = next.toLongArray();
    List<DecodeRow> ended = new ArrayList<>();
    for (int r = 0; r < tokens.length; r++) {
      DecodeRow row = rows.get(r);
      LogitsException.check(logProbabilities[r]);
      FinishReason reason = stopping.reason(row, tokens[r]);
      row.append(tokens[r], logProbabilities[r]);
      if (reason != null) {
        row.group.finished.add(
            new DecodedSequence(row.newTokens(), reason, row.logProbability, row.logProbability));
        row.group.done = true;
        ended.add(row);
      }
    }
    batch.leave(ended);
  }
}
