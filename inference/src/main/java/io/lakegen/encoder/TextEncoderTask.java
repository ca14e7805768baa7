package io.lakegen.encoder;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.RowException;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * A task over the graph {@code model} of a pack, which takes token ids, a mask and, if it has a
 * third input, token types, each int64 {@code [batch, length]} with padding on the right. Its
 * budget counts tokens.
 */
public abstract class TextEncoderTask<O> implements Task<TextEncoderTask.Tokens, O> {
  /** libtorch keeps memory for every new shape; ONNX Runtime does not and is spared the padding. */
  private static final int TORCH_LENGTH_STEP = 16;

  /** Stays the caller's to close. */
  protected final LoadedModel model;

  private final Graph graph;
  private final List<String> inputNames;
  private final int maxLength;
  private final int lengthStep;

  /**
   * A text, or a pair of them, as the model reads it.
   *
   * @param source what it was made of: equal sources have equal tokens
   * @param ids token ids, special tokens included
   * @param types which of a pair's texts a token belongs to
   * @param truncated whether there were more tokens than the model reads
   */
  public record Tokens(Object source, long[] ids, long[] types, boolean truncated) {}

  /**
   * What the graph gave.
   *
   * @param values of its first output, flat
   * @param length tokens of a row, padding included
   */
  public record Output(float[] values, int length) {}

  /**
   * A task on a loaded model.
   *
   * @param inputNames the graph's inputs in their order where it is TorchScript; an ONNX graph
   *     names its own
   */
  protected TextEncoderTask(LoadedModel model, List<String> inputNames) {
    this.model = model;
    this.graph = model.graph("model");
    this.inputNames = graph.inputNames().isEmpty() ? inputNames : graph.inputNames();
    PackSpec spec = model.pack().spec();
    this.maxLength = spec.tokenizer().orElseThrow().maxLength();
    this.lengthStep = spec.engine() == PackSpec.EngineName.PyTorch ? TORCH_LENGTH_STEP : 1;
  }

  /** Checks whether a pack has what an encoder needs. */
  public static void check(PackSpec pack, Problems problems) {
    if (pack.tokenizer().isEmpty()) {
      problems.add("model: tokenizer", "missing", "a pack with a tokenizer");
    }
    if (!pack.graphs().containsKey("model")) {
      problems.add("model: graphs", pack.graphs().keySet(), "a graph of the role model");
    }
  }

  /**
   * The tokens of a text.
   *
   * @param pair second text of a pair; null for none
   * @throws RowException if there are none
   */
  protected final Tokens tokenize(String text, String pair) throws RowException {
    Encoding encoding =
        pair == null
            ? model.encode(text.length(), tokenizer -> tokenizer.encode(text))
            : model.encode(
                text.length() + pair.length(), tokenizer -> tokenizer.encode(text, pair));
    if (encoding.getIds().length == 0) {
      throw RowException.prepare(
          "no_tokens", "the text has no token of the model's vocabulary (expected: at least one)");
    }
    return new Tokens(
        pair == null ? text : List.of(text, pair),
        encoding.getIds(),
        encoding.getTypeIds(),
        encoding.exceedMaxLength());
  }

  @Override
  public final int size(Tokens tokens) {
    return tokens.ids().length;
  }

  @Override
  public final int cost(Tokens tokens) {
    int rounded = (tokens.ids().length + lengthStep - 1) / lengthStep * lengthStep;
    return Math.max(tokens.ids().length, Math.min(maxLength, rounded));
  }

  @Override
  public final Object identity(Tokens tokens) {
    return tokens.source();
  }

  @Override
  public void check() throws IOException {
    model.check();
  }

  /** What is made of the graph's first output on the device, where its values are many. */
  protected interface Reduction {
    /**
     * Works on the device.
     *
     * @param output of the graph
     * @param mask int64 {@code [batch, length]}, 1 for the tokens that are no padding
     * @return float32
     */
    NDArray of(NDArray output, NDArray mask);
  }

  /** Runs the graph on rows of any length. */
  protected final Output run(List<Tokens> batch) {
    return run(batch, (output, mask) -> output);
  }

  /** Runs the graph on rows of any length, and gives what a reduction makes of its output. */
  protected final Output run(List<Tokens> batch, Reduction reduction) {
    int length = batch.stream().mapToInt(this::cost).max().orElseThrow();
    long[] ids = new long[batch.size() * length];
    long[] mask = new long[ids.length];
    long[] types = new long[ids.length];
    for (int i = 0; i < batch.size(); i++) {
      Tokens row = batch.get(i);
      System.arraycopy(row.ids(), 0, ids, i * length, row.ids().length);
      System.arraycopy(row.types(), 0, types, i * length, row.types().length);
      Arrays.fill(mask, i * length, i * length + row.ids().length, 1);
    }
    try (NDManager manager = model.newManager()) {
      Shape shape = new Shape(batch.size(), length);
      NDArray attentionMask = manager.create(mask, shape);
      NDList inputs = new NDList();
      for (String name : inputNames) {
        NDArray array =
            switch (name) {
              case "input_ids" -> manager.create(ids, shape);
              case "attention_mask" -> attentionMask;
              case "token_type_ids" -> manager.create(types, shape);
              default ->
                  throw new IllegalStateException(
                      "graph input: "
                          + name
                          + " (expected: input_ids, attention_mask or token_type_ids)");
            };
        array.setName(name);
        inputs.add(array);
      }
      NDArray output = graph.run(inputs).head();
      return new Output(reduction.of(output, attentionMask).toFloatArray(), length);
    }
  }
}
