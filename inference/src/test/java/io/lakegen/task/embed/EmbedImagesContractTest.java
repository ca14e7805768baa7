package io.lakegen.task.embed;

import io.lakegen.decode.Fixture;
import io.lakegen.encoder.FixturePictures;
import io.lakegen.encoder.PictureTask.Picture;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.Argument.Kind;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import java.util.List;
import java.util.Map;

class EmbedImagesContractTest extends TaskContract<Picture, ImageEmbedder.Embedding> {
  @Override
  protected TaskDefinition definition() {
    return new Embed(Kind.IMAGE);
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("clip").model();
  }

  @Override
  protected List<RowInput> goodRows() {
    return FixturePictures.rows(Fixture.load("clip"));
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "null_image", RowInputs.of("image", null),
        "empty_image", RowInputs.of("image", ""),
        "not_an_image", RowInputs.of("image", "<html>"));
  }
}
