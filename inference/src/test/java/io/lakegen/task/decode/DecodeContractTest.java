package io.lakegen.task.decode;

import io.lakegen.decode.Fixture;
import io.lakegen.diffusion.NoiseSource;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.decode.LatentDecoder.Prepared;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

class DecodeContractTest extends TaskContract<Prepared, RgbImage> {
  @Override
  protected TaskDefinition definition() {
    return new Decode();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("autoencoder-kl").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE.with(Decode.SHAPE.column(), "latent_shape");
  }

  private static byte[] bytes(float... values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  private static RowInput row(float[] latents, float... shape) {
    return RowInputs.of(1, "latents", bytes(latents), "shape", bytes(shape));
  }

  @Override
  protected List<RowInput> goodRows() {
    return IntStream.range(0, 8)
        .mapToObj(i -> row(NoiseSource.of(i, 0).draw(0, 4 * 8 * 16), 4, 8, 16))
        .toList();
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "null_vector", RowInputs.of(1, "latents", null),
        "bad_vector", row(new float[] {1, Float.NaN}, 4, 1, 1),
        "bad_latents", row(new float[7], 4, 8, 8),
        "bad_shape", row(new float[8], 3, 8, 8));
  }
}
