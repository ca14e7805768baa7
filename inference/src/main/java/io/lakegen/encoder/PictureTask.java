package io.lakegen.encoder;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
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
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A task over a graph that takes pictures, float32 {@code [batch, 3, height, width]}, and in each
 * output gives so many values for each. Its budget counts pictures.
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
  private final int[] valuesEach;

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
   * @param valuesEach values of a picture in each of the graph's outputs
   */
  protected PictureTask(LoadedModel model, String role, int... valuesEach) {
    this.model = model;
    this.input = new PictureInput(model);
    this.graph = model.graph(role);
    this.valuesEach = valuesEach.clone();
  }

  /** Checks whether a pack has what such a task needs, with graphs of these roles. */
  public static void check(PackSpec pack, List<String> roles, Problems problems) {
    PackSpec.require("image", pack.image(), problems);
    for (String needed :
        Stream.concat(Stream.of(LoadedModel.PREPROCESS), roles.stream()).toList()) {
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

  /** {@inheritDoc} What the model sees, and what it gives, may be as large as the file. */
  @Override
  public final long inputBytes(RowInput row) {
    return row.length()
        + input.bytes()
        + Float.BYTES * IntStream.of(valuesEach).asLongStream().sum();
  }

  @Override
  public final Object identity(Picture picture) {
    return new PictureInput.Content(picture.file());
  }

  @Override
  public final List<O> infer(List<Picture> batch) {
    List<List<float[]>> pictures = new ArrayList<>(batch.size());
    batch.forEach(p -> pictures.add(new ArrayList<>(valuesEach.length)));
    try (NDManager manager = model.newManager()) {
      NDList outputs =
          graph.run(input.batch(manager, batch.stream().map(Picture::pixels).toList()));
      for (int i = 0; i < valuesEach.length; i++) {
        split(outputs.get(i), valuesEach[i], pictures);
      }
    }
    return pictures.stream().map(this::result).toList();
  }

  /** Hands each picture its part of an output. */
  private static void split(NDArray output, int valuesEach, List<List<float[]>> pictures) {
    if (output.size() != (long) pictures.size() * valuesEach) {
      throw new IllegalStateException(
          "output: "
              + output.size()
              + " values (expected: "
              + (long) pictures.size() * valuesEach
              + ", "
              + valuesEach
              + " for each picture)");
    }
    // One journey from a GPU, but no array of a whole batch, which may hold more than Java allows.
    NDArray rows = output.toDevice(Device.cpu(), false).reshape(pictures.size(), valuesEach);
    for (int i = 0; i < pictures.size(); i++) {
      pictures.get(i).add(rows.get(i).toFloatArray());
    }
  }

  /** The result of a picture, from its values in each of the graph's outputs. */
  protected abstract O result(List<float[]> outputs);

  @Override
  public void check() throws IOException {
    model.check();
  }
}
