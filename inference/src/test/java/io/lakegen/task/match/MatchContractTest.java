package io.lakegen.task.match;

import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.decode.Fixture;
import io.lakegen.image.CloseImages;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

class MatchContractTest extends TaskContract<Matcher.Pair, Matcher.Matched> {
  @Override
  protected TaskDefinition definition() {
    return new Match();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("blip-matching").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE.with(Match.HEAT_MAP, true).with(Match.OVERLAY, 24);
  }

  static byte[] picture(int number) throws Exception {
    return Files.readAllBytes(Fixture.folder("blip-matching").resolve("images/" + number + ".png"));
  }

  @Override
  protected List<RowInput> goodRows() throws Exception {
    List<RowInput> rows = new ArrayList<>();
    for (JsonNode row : Fixture.json("blip-matching").path("rows")) {
      rows.add(
          RowInputs.of(
              rows.size(),
              "image",
              picture(row.path("image").asInt()),
              "text",
              row.path("text").asText()));
    }
    return rows;
  }

  /** Maps differ by rounding, and so may a level of a picture under them. */
  @Override
  protected boolean agree(Object actual, Object expected) {
    return actual instanceof byte[] png
        ? CloseImages.close(png, (byte[]) expected, 2)
        : super.agree(actual, expected);
  }

  @Override
  protected Map<String, RowInput> badRows() {
    try {
      return Map.of(
          "null_image", RowInputs.of(1, "image", null, "text", "a boat"),
          "empty_image", RowInputs.of(1, "image", "", "text", "a boat"),
          "not_an_image", RowInputs.of(1, "image", "<html>", "text", "a boat"),
          "null_text", RowInputs.of(1, "image", picture(0), "text", null),
          "empty_text", RowInputs.of(1, "image", picture(0), "text", ""),
          "blank_text", RowInputs.of(1, "image", picture(0), "text", " \t"),
          "text_too_long", RowInputs.of(1, "image", picture(0), "text", "boat ".repeat(40)));
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
