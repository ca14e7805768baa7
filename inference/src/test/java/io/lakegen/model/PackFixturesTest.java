package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every pack that the exporter made answers in DJL as it did in Python. */
class PackFixturesTest {
  @TempDir Path cache;

  static List<Path> packs() {
    return TestPacks.fixtures();
  }

  @Test
  void thereAreFixtures() {
    assertThat(packs()).isNotEmpty();
  }

  @ParameterizedTest
  @MethodSource("packs")
  void answersAsTheReferenceDoes(Path folder) throws IOException {
    ModelPack pack = new PackStore(cache).fetch(folder.toString(), new Configuration());
    try (LoadedModel model = LoadedModel.load(pack, TestPacks.device(pack), 1)) {
      assertThat(pack.spec().graphs().keySet()).isNotEmpty().allMatch(model::hasGraph);
      model.check();
    }
  }
}
