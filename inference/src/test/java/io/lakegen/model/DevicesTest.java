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
}
