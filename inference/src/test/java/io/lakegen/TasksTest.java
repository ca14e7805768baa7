package io.lakegen;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.task.Option;
import io.lakegen.task.Result;
import io.lakegen.task.TaskContract;
import io.lakegen.task.TaskDefinition;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** What the registry promises of every task's definition. */
class TasksTest {
  @ParameterizedTest
  @FieldSource("io.lakegen.Tasks#ALL")
  void everyTaskHasAContractTest(TaskDefinition task) throws Exception {
    Class<?> test = Class.forName(task.getClass().getName() + "ContractTest");
    assertThat(TaskContract.class).isAssignableFrom(test);
  }

  @ParameterizedTest
  @FieldSource("io.lakegen.Tasks#ALL")
  void aDefinitionIsWhole(TaskDefinition task) {
    assertThat(Tasks.named(task.data().name())).contains(task);
    assertThat(task.data().description()).endsWith(".");
    assertThat(task.data().packTasks()).isNotEmpty();
    assertThat(task.data().arguments().get(0).isRequired()).isTrue();
    assertThat(task.data().allOptions())
        .extracting(Option::name)
        .doesNotHaveDuplicates()
        .allMatch(n -> n.matches("[a-z]+(-[a-z0-9]+)*"));
    assertThat(task.data().allOptions())
        .allSatisfy(o -> assertThat(o.help()).as(o.name()).endsWith("."));
    assertThat(task.results(io.lakegen.task.OptionValues.NONE))
        .extracting(Result::name)
        .doesNotHaveDuplicates()
        .allMatch(n -> n.matches("[a-z]+(_[a-z]+)*"));
  }
}
