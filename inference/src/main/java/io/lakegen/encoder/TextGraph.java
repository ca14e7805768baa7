package io.lakegen.encoder;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import java.util.Arrays;
import java.util.List;

/**
 * A graph that takes token ids, a mask and, if it has a third input, token types, each int64 {@code
 * [batch, length]} with padding on the right. Thread-safe.
 */
public final class TextGraph {
  /** libtorch keeps memory for every new shape; ONNX Runtime does not and is spared the padding. */
  private static final int TORCH_LENGTH_STEP = 4;

  private static final int GPU_LENGTH_STEP = 16;

  private final LoadedModel model;
  private final Graph graph;
  private final List<String> inputNames;
  private final int maxLength;
  private final int lengthStep;

  /**
   * Tokens that the model reads together.
   *
   * @param ids token ids, special tokens included
   * @param types which of a pair's texts a token belongs to
   */
  public record Sequence(long[] ids, long[] types) {}

  /**
   * What the graph gave.
   *
   * @param all its outputs, each flat
   * @param length tokens of a row, padding included
   */
  public record Output(List<float[]> all, int length) {
    /** The first output. */
    public float[] values() {
      return all.get(0);
    }
  }

  /**
   * A graph of a loaded model, which stays the caller's to close.
   *
   * @param role of the graph in the pack
   * @param inputNames the graph's inputs in their order where it is TorchScript; an ONNX graph
   *     names its own
   */
  public TextGraph(LoadedModel model, String role, List<String> inputNames) {
    this.model = model;
    this.graph = model.graph(role);
    this.inputNames = graph.inputNames().isEmpty() ? inputNames : graph.inputNames();
    PackSpec spec = model.pack().spec();
    this.maxLength = spec.tokenizer().orElseThrow().maxLength();
    int torchStep = model.device().isGpu() ? GPU_LENGTH_STEP : TORCH_LENGTH_STEP;
    this.lengthStep = spec.engine() == PackSpec.EngineName.PyTorch ? torchStep : 1;
  }

  /** Length of a row in the graph's input: that of its tokens, rounded up. */
  public int paddedLength(int tokens) {
    int rounded = (tokens + lengthStep - 1) / lengthStep * lengthStep;
    return Math.max(tokens, Math.min(maxLength, rounded));
  }

  /** What is made of the graph's first output on the device, where its values are many. */
  @FunctionalInterface
  public interface Reduction {
    /**
     * Works on the device.
     *
     * @param output of the graph
     * @param mask int64 {@code [batch, length]}, 1 for tokens, 0 for padding
     * @return what is to leave the device, float32
     */
    NDArray of(NDArray output, NDArray mask);
  }

  /** Runs the graph on rows of any length. */
  public Output run(List<Sequence> batch) {
    return run(batch, (output, mask) -> output);
  }

  /** Runs the graph on rows of any length; a reduction stands for the first output. */
  public Output run(List<Sequence> batch, Reduction reduction) {
    int length = batch.stream().mapToInt(row -> paddedLength(row.ids().length)).max().orElseThrow();
    long[] ids = new long[batch.size() * length];
    long[] mask = new long[ids.length];
    long[] types = new long[ids.length];
    for (int i = 0; i < batch.size(); i++) {
      Sequence row = batch.get(i);
      System.arraycopy(row.ids(), 0, ids, i * length, row.ids().length);
      System.arraycopy(row.types(), 0, types, i * length, row.types().length);
      Arrays.fill(mask, i * length, i * length + row.ids().length, 1);
    }
    try (NDManager manager = model.newManager()) {
      Shape shape = new Shape(batch.size(), length);
      NDArray tokens = manager.create(mask, shape);
      NDList inputs = new NDList();
      for (String name : inputNames) {
        NDArray array =
            switch (name) {
              case "input_ids" -> manager.create(ids, shape);
              case "attention_mask" -> tokens;
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
      NDList outputs = graph.run(inputs);
      outputs.set(0, reduction.of(outputs.get(0), tokens));
      return new Output(outputs.stream().map(NDArray::toFloatArray).toList(), length);
    }
  }
}
