package io.lakegen.task.frames;

import io.lakegen.decode.Fixture;
import io.lakegen.image.ImageFiles;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

class NextFrameContractTest extends TaskContract<FramePredictor.Prepared, List<RgbImage>> {
  @Override
  protected TaskDefinition definition() {
    return new NextFrame();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("next-frame").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE.with(NextFrame.NUM_FRAMES, 3);
  }

  private static byte[] frames(int row, int number) {
    List<byte[]> files = new ArrayList<>();
    for (int frame = 0; frame < number; frame++) {
      byte[] pixels = new byte[3 * 40 * 30];
      for (int i = 0; i < pixels.length; i++) {
        pixels[i] = (byte) ((i + 90 * frame) * (row + 1) / 29);
      }
      files.add(ImageFiles.png(new RgbImage(pixels, 40, 30, 40, 30)));
    }
    return RowInput.join(files);
  }

  @Override
  protected List<RowInput> goodRows() {
    return IntStream.range(0, 8)
        .mapToObj(i -> RowInputs.of(i, "frames", frames(i, i == 7 ? 2 : 3)))
        .toList();
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "no_images", RowInputs.of(1, "frames", new byte[0]),
        "null_image", RowInputs.of(1, "frames", RowInput.join(Collections.singletonList(null))));
  }
}
