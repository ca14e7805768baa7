package io.lakegen.task.generate;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.decode.ContextEncoder;
import io.lakegen.model.Graph;
import java.util.Arrays;
import java.util.List;

/** The encoder of T5 and BART: token ids and mask to cross keys and values. */
record TextEncoder(Graph graph) implements ContextEncoder<long[]> {
  /** Libtorch keeps memory for every new shape. */
  private static final int CONTEXT_STEP = 16;

  @Override
  public NDList encode(List<long[]> inputs, NDArray cache) {
    NDManager manager = cache.getManager();
    int length = inputs.stream().mapToInt(this::length).max().orElseThrow();
    long[] ids = new long[inputs.size() * length];
    long[] mask = new long[ids.length];
    for (int r = 0; r < inputs.size(); r++) {
      long[] row = inputs.get(r);
      System.arraycopy(row, 0, ids, r * length, row.length);
      Arrays.fill(mask, r * length, r * length + row.length, 1);
    }
    Shape shape = new Shape(inputs.size(), length);
    return graph.run(manager.create(ids, shape), manager.create(mask, shape));
  }

  @Override
  public int length(long[] input) {
    return (input.length + CONTEXT_STEP - 1) / CONTEXT_STEP * CONTEXT_STEP;
  }
}
