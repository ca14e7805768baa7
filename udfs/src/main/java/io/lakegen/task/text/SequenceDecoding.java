package io.lakegen.task.text;

import ai.djl.ndarray.NDArray;
import io.lakegen.task.text.DecodedSequence.FinishReason;
import java.util.List;

/** Greedy decoding and sampling: every row goes its own way. */
final class SequenceDecoding implements DecodingStrategy {
  private final GenerationOptions options;
  private final LogitsProcessors processors;
  private final Endings endings;

  SequenceDecoding(GenerationOptions options, LogitsProcessors processors, Endings endings) {
    this.options = options;
    this.processors = processors;
    this.endings = endings;
  }

  @Override
  public int rowsPerGroup() {
    return 1;
  }

  @Override
  public int groupsPerRequest() {
    return options.numReturnSequences();
  }

  @Override
  public void advance(NDArray logits, List<DecodeRow> rows, SlotBatch<?> batch) {
    NDArray scores = processors.process(logits, rows);
    NDArray next =
        options.doSample() ? Sampler.draw(processors.warp(scores), rows) : scores.argMax(1);
    float[] logProbabilities =
        logits.logSoftmax(1).gather(next.reshape(rows.size(), 1), 1).toFloatArray();
    long[] tokens = next.toLongArray();
    for (int r = 0; r < tokens.length; r++) {
      DecodeRow row = rows.get(r);
      LogitsException.check(logProbabilities[r]);
      FinishReason reason = endings.reason(row, tokens[r]);
      row.append(tokens[r], logProbabilities[r]);
      if (reason != null) {
        row.group.finished.add(
            new DecodedSequence(row.newTokens(), reason, row.logProbability, row.logProbability));
        row.group.done = true;
        batch.leave(row);
      }
    }
  }
}
