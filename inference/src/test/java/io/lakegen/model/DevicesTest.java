package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.Device;
import ai.djl.engine.Engine;
import io.lakegen.problem.InvalidArgumentsException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DevicesTest {
  @ParameterizedTest
  @EnumSource(PackSpec.EngineName.class)
  void withoutAGpuAutoTakesTheCpuAndGpuIsAnError(PackSpec.EngineName engine) {
    Devices.configureEngines(1);
    assumeTrue(Engine.getEngine(engine.name()).getGpuCount() == 0, "this machine has a GPU");
    assertThat(Devices.resolve(Devices.Choice.auto, List.of(), engine, 1)).isEqualTo(Device.cpu());
    assertThatThrownBy(() -> Devices.resolve(Devices.Choice.gpu, List.of("0"), engine, 1))
        .isInstanceOf(InvalidArgumentsException.class)
        .hasMessageStartingWith(
            "device: gpu (expected: a GPU that " + engine + " can see; found none.");
  }

  @Test
  void cpuIsTheCpuWhateverIsAssigned() {
    assertThat(
            Devices.resolve(Devices.Choice.cpu, List.of("1"), PackSpec.EngineName.OnnxRuntime, 1))
        .isEqualTo(Device.cpu());
  }

  /** Addresses, GPUs that the engine sees, their names, the GPUs that the task may use. */
  @ParameterizedTest
  @org.junit.jupiter.params.provider.CsvSource({
    "'', 1, '', 0",
    "'', 3, '', 0 1 2",
    "2, 4, '', 2",
    "1 3, 4, '', 1 3",
    "5, 1, '', 0",
    "4 5, 2, '', 0 1",
    "GPU-8c2f, 1, '', 0",
    "GPU-8c2f GPU-91aa, 2, '', 0 1",
    "0 0, 2, '', 0",
    "99999999999, 2, '', 0",
    "GPU-91aa, 2, GPU-8c2f GPU-91aa, 1",
    "3, 2, 2 3, 1",
    "0, 2, 1 0, 1",
    "MIG-91aa, 1, MIG-91aa, 0"
  })
  void assignedGpusAreThoseThatTheEngineSees(
      String addresses, int visible, String names, String expected) {
    assertThat(Devices.gpus(words(addresses), visible, words(names)))
        .extracting(d -> Integer.toString(d.getDeviceId()))
        .containsExactly(expected.split(" "));
  }

  private static List<String> words(String text) {
    return text.isEmpty() ? List.of() : List.of(text.split(" "));
  }
}
