package io.lakegen.task.sample;

import io.lakegen.decode.Fixture;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowInput;
import io.lakegen.task.RowInputs;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import io.lakegen.task.sample.ImageMaker.Made;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

class SampleContractTest extends TaskContract<ImageSampler.Prepared, List<Made>> {
  @Override
  protected TaskDefinition definition() {
    return new Sample();
  }

  @Override
  protected LoadedModel model() {
    return Fixture.load("stylegan").model();
  }

  @Override
  protected OptionValues options() {
    return OptionValues.NONE
        .with(Sample.LABEL.column(), "label")
        .with(Sample.END_SEED.column(), "end")
        .with(Sample.INTERPOLATION_STEPS, 3)
        .with(Sample.TRUNCATION_PSI, 0.7)
        .with(Sample.SCORE, true);
  }

  @Override
  protected List<RowInput> goodRows() {
    return IntStream.range(0, 8)
        .mapToObj(i -> RowInputs.of(1, "seed", i, "end_seed", 100 + i, "label", i % 3))
        .toList();
  }

  @Override
  protected Map<String, RowInput> badRows() {
    return Map.of(
        "bad_number", RowInputs.of(1, "seed", "many", "label", 1),
        "bad_label", RowInputs.of(1, "seed", 1, "label", 3));
  }
}
