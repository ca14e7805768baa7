package io.lakegen.task.render;

import io.lakegen.decode.Fixture;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.render.Renderer.PreparedRender;
import io.lakegen.task.render.Renderer.RenderedImage;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

class RenderContractTest extends TaskContract<PreparedRender, List<RenderedImage>> {
  @Override
  protected TaskDefinition definition() {
    return new Render();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("stable-diffusion").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE
        .with(Render.NUM_INFERENCE_STEPS, 4)
        .with(Render.NUM_IMAGES_PER_PROMPT, 2)
        .with(
            Render.OVERRIDE_COLUMNS,
            List.of(Render.Overridable.seed, Render.Overridable.negative_prompt));
  }

  @Override
  protected List<RowInput> goodRows() {
    return Stream.of("bread", "a boat on the lake", "a town")
        .map(p -> RowInputs.of(1, "prompt", p, "seed", p.length(), "negative_prompt", null))
        .toList();
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "null_text", RowInputs.of("prompt", null),
        "bad_option", RowInputs.of(1, "prompt", "a", "seed", "many"));
  }
}
