package io.lakegen.task.caption;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.DecodingOptions;
import io.lakegen.decode.Fixture;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.caption.Captioner.PictureCaption;
import io.lakegen.task.caption.Captioner.PreparedPicture;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

class CaptionContractTest extends TaskContract<PreparedPicture, List<PictureCaption>> {
  private final Fixture fixture = Fixture.load("git");

  @Override
  protected TaskDefinition definition() {
    return new Caption();
  }

  @Override
  protected LoadedModel model() {
    return fixture.model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE
        .with(DecodingOptions.MAX_NEW_TOKENS, 6)
        .with(DecodingOptions.NUM_BEAMS, 2)
        .with(Caption.THUMBNAIL, 16);
  }

  @Override
  protected List<RowInput> goodRows() throws Exception {
    List<RowInput> rows = new ArrayList<>();
    for (JsonNode image : fixture.expected().path("images")) {
      byte[] file = Files.readAllBytes(Fixture.folder("git").resolve(image.path("jpeg").asText()));
      rows.add(RowInputs.of(rows.size(), "image", file));
    }
    return rows;
  }

  @Override
  protected boolean agree(Object actual, Object expected) {
    return actual instanceof byte[] thumbnail
        ? java.util.Arrays.equals(thumbnail, (byte[]) expected)
        : super.agree(actual, expected);
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "null_image", RowInputs.of("image", null),
        "empty_image", RowInputs.of("image", ""),
        "not_an_image", RowInputs.of("image", "<html>"));
  }
}
