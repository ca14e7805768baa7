package io.lakegen.task.encode;

import io.lakegen.decode.Fixture;
import io.lakegen.image.ImageFiles;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.encode.ImageEncoder.Encoded;
import io.lakegen.task.encode.ImageEncoder.Prepared;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

class EncodeContractTest extends TaskContract<Prepared, Encoded> {
  @Override
  protected TaskDefinition definition() {
    return new Encode();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("autoencoder-kl").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE.with(Encode.SAMPLE, true).with(Encode.RECONSTRUCT, true);
  }

  /** A picture of slopes. */
  static byte[] picture(int number) {
    byte[] pixels = new byte[3 * 40 * 30];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) (i * (number + 1) / 29);
    }
    return ImageFiles.png(new RgbImage(pixels, 40, 30, 40, 30));
  }

  @Override
  protected List<RowInput> goodRows() {
    return IntStream.range(0, 8).mapToObj(i -> RowInputs.of(i, "image", picture(i))).toList();
  }

  /** Quality is measured on pictures that other batches may round. */
  @Override
  protected boolean agree(Object actual, Object expected) {
    return actual instanceof Double figure
        ? Math.abs(figure - (Double) expected) < 0.01
        : super.agree(actual, expected);
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of("null_image", RowInputs.of(1, "image", null));
  }
}
