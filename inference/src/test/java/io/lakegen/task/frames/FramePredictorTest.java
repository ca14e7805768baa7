package io.lakegen.task.frames;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.image.ImageFiles;
import io.lakegen.image.RgbImage;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.frames.FramePredictor.Prepared;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Frames of a tiny random ConvLSTM against those of the same in Python. */
class FramePredictorTest {
  private static byte[] pixels(JsonNode picture) {
    return Base64.getDecoder().decode(picture.path("rgb").asText());
  }

  @Test
  void framesEqualTheReference() throws RowException {
    Fixture fixture = Fixture.load("next-frame");
    JsonNode sequences = fixture.expected().path("sequences");
    FramePredictor predictor =
        new FramePredictor(fixture.model(), OptionValues.NONE.with(NextFrame.NUM_FRAMES, 3));
    List<Prepared> rows = new ArrayList<>();
    for (JsonNode sequence : sequences) {
      List<byte[]> files = new ArrayList<>();
      for (JsonNode frame : sequence.path("frames")) {
        files.add(ImageFiles.png(new RgbImage(pixels(frame), 32, 32, 32, 32)));
      }
      rows.add(predictor.prepare(RowInputs.of(1, "frames", RowInput.join(files))));
    }
    List<List<RgbImage>> images = predictor.infer(rows);
    for (int row = 0; row < rows.size(); row++) {
      assertThat(images.get(row)).hasSize(3);
      for (int frame = 0; frame < 3; frame++) {
        byte[] expected = pixels(sequences.path(row).path("next").path(frame));
        byte[] actual = images.get(row).get(frame).pixels();
        for (int i = 0; i < expected.length; i++) {
          assertThat(actual[i] & 0xFF).isCloseTo(expected[i] & 0xFF, within(2));
        }
      }
    }
  }
}
