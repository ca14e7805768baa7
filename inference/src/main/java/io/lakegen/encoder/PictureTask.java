package io.lakegen.encoder;

import ai.djl.ndarray.NDManager;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A task over a graph that takes pictures, float32 {@code [batch, 3, height, width]}, and gives so
 * many values for each. Its budget counts pictures.
 */
public abstract class PictureTask<O> implements Task<PictureTask.Picture, O> {
  /** Name of the input. */
  public static final String IMAGE = "image";

  static final Budget.Unit BUDGET = new Budget.Unit("pictures in a batch", 16, 128);

  /** The first window is a sixteenth; the bytes of large pictures end a window much earlier. */
  static final int WINDOW_ROWS = 256;

  /** Reading and seeing a picture costs more than a Spark task. */
  static final int MIN_TASK_ROWS = 1;

  private final LoadedModel model;
  private final PictureInput input;
  private final Graph graph;
  private final int valuesEach;

  /**
   * A picture as the model sees it.
   *
   * @param file the image file's bytes
   * @param pixels {@code [3, height, width]} of the pack, normalised
   */
  public record Picture(byte[] file, float[] pixels) {}

  /**
   * A task on a loaded model, which stays the caller's to close.
   *
   * @param role of the graph in the pack
   * @param valuesEach values of a picture in the graph's output
   */
  protected PictureTask(LoadedModel model, String role, int valuesEach) {
    this.model = model;
    this.input = new PictureInput(model);
    this.graph = model.graph(role);
    this.valuesEach = valuesEach;
  }

  /** Checks whether a pack has what such a task needs. */
  public static void check(PackSpec pack, String role, Problems problems) {
    PackSpec.require("image", pack.image(), problems);
    for (String needed : List.of(LoadedModel.PREPROCESS, role)) {
      if (!pack.graphs().containsKey(needed)) {
        problems.add("model: graphs", pack.graphs().keySet(), "a graph of the role " + needed);
      }
    }
  }

  @Override
  public final Picture prepare(RowInput row) throws RowException {
    byte[] file = row.bytes(IMAGE);
    return new Picture(file, input.pixels(input.decode(file, 0)));
  }

  @Override
  public final int size(Picture picture) {
    return 1;
  }

  /** {@inheritDoc} What the model sees is about as large as the file. */
  @Override
  public final long inputBytes(RowInput row) {
    return row.length() + input.bytes();
  }

  @Override
  public final Object identity(Picture picture) {
    return new PictureInput.Content(picture.file());
  }

  @Override
  public final List<O> infer(List<Picture> batch) {
    float[] values;
    try (NDManager manager = model.newManager()) {
      values =
          graph
              .run(input.batch(manager, batch.stream().map(Picture::pixels).toList()))
              .head()
              .toFloatArray();
    }
    if (values.length != batch.size() * valuesEach) {
      throw new IllegalStateException(
          "output: "
              + values.length
              + " values (expected: "
              + batch.size() * valuesEach
              + ", "
              + valuesEach
              + " for each picture)");
    }
    return IntStream.range(0, batch.size())
        .mapToObj(i -> result(Arrays.copyOfRange(values, i * valuesEach, (i + 1) * valuesEach)))
        .toList();
  }

  /** The result of a picture, from the values of the graph. */
  protected abstract O result(float[] values);

  @Override
  public void check() throws IOException {
    model.check();
  }
}
