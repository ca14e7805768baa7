package io.lakegen.task.caption;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.lakegen.decode.ContextEncoder;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * The vision encoder: pixels {@code [3, height, width]} to visual tokens at the head of the slot
 * cache (GIT), or to keys and values for cross attention.
 *
 * @param batch most pictures in one run of the graph, which bounds its activations
 * @param contextLength visual tokens for cross attention; 0 for GIT
 */
record PictureEncoder(Graph graph, PackSpec.Image image, int batch, int contextLength)
    implements ContextEncoder<float[]> {
  private static final int CPU_BATCH = 8;
  private static final int GPU_BATCH = 64;

  static PictureEncoder of(LoadedModel model) {
    PackSpec spec = model.pack().spec();
    PackSpec.Image image = spec.image().orElseThrow();
    Graph graph = model.graph("encoder");
    int length = 0;
    if (spec.cache().orElseThrow().prefix() == 0) {
      try (NDManager manager = model.newManager()) {
        NDArray blank = manager.zeros(new Shape(1, 3, image.height(), image.width()));
        length = (int) graph.run(blank).head().getShape().get(4);
      }
    }
    return new PictureEncoder(graph, image, model.device().isGpu() ? GPU_BATCH : CPU_BATCH, length);
  }

  @Override
  public NDList encode(List<float[]> inputs, NDArray cache) {
    List<NDList> parts = new ArrayList<>();
    for (int from = 0; from < inputs.size(); from += batch) {
      int to = Math.min(inputs.size(), from + batch);
      parts.add(encode(inputs.subList(from, to), cache, from, to));
    }
    if (contextLength == 0 || parts.size() == 1) {
      return parts.get(0);
    }
    return new NDList(join(parts, 0, 2), join(parts, 1, 0));
  }

  private NDList encode(List<float[]> inputs, NDArray cache, int from, int to) {
    FloatBuffer pixels = FloatBuffer.allocate(inputs.size() * inputs.get(0).length);
    inputs.forEach(pixels::put);
    NDManager manager = cache.getManager();
    try (NDArray array =
        manager.create(
            pixels.array(), new Shape(inputs.size(), 3, image.height(), image.width()))) {
      if (contextLength > 0) {
        return graph.run(array);
      }
      try (NDArray rows = cache.get(manager, new NDIndex().addAllDim(2).addSliceDim(from, to))) {
        // It writes into the cache; the visual features that it returns have no further use.
        graph.run(array, rows).close();
        return new NDList();
      }
    }
  }

  private static NDArray join(List<NDList> parts, int output, int axis) {
    return NDArrays.concat(new NDList(parts.stream().map(p -> p.get(output)).toList()), axis);
  }

  @Override
  public int length(float[] input) {
    return contextLength;
  }
}
