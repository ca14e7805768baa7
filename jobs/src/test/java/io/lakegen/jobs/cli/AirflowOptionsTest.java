package io.lakegen.jobs.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lakegen.Tasks;
import io.lakegen.jobs.run.JobSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * The options of which the Airflow DAGs make their parameters, as JSON schemas, are those of the
 * definitions. {@code ./mvnw test -pl jobs -am -Dtest=AirflowOptionsTest
 * -Dsurefire.failIfNoSpecifiedTests=false -Dlakegen.write=true} writes them anew.
 */
class AirflowOptionsTest {
  private static final Path FILE = Path.of("../airflow-dags/lakegen_options.json");

  /** Beyond every default; the bounds of rules are looked for up to here. */
  private static final int MOST = 1_000_000_000;

  private static final ObjectMapper JSON = new ObjectMapper();

  private static boolean accepts(Option<?> option, Object value) {
    Problems problems = new Problems();
    OptionValues.parse(List.of(option), Map.of(option.name(), value), problems);
    return problems.isEmpty();
  }

  private static boolean isNumber(Option<?> option, String text, Class<?>... types) {
    try {
      return List.of(types).contains(option.type().converter().apply(text).getClass());
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  private static String type(Option<?> option) {
    if (option.form() == Option.Form.FLAG) {
      return "boolean";
    }
    if (isNumber(option, "1", Integer.class, Long.class)) {
      return "integer";
    }
    return isNumber(option, "1", Double.class) ? "number" : "string";
  }

  /** An option's rule is a predicate: its bounds are found by asking. */
  private static void addBounds(Option<?> option, ObjectNode schema) {
    boolean whole = schema.path("type").asText().equals("integer");
    if (accepts(option, 0)) {
      if (!accepts(option, -1)) {
        schema.put("minimum", 0);
      }
    } else if (whole) {
      assertThat(accepts(option, 1)).as(option.name()).isTrue();
      schema.put("minimum", 1);
    } else {
      assertThat(accepts(option, Double.MIN_NORMAL)).as(option.name()).isTrue();
      schema.put("exclusiveMinimum", 0);
    }
    if (!accepts(option, MOST)) {
      int accepted = 1;
      int refused = MOST;
      while (refused - accepted > 1) {
        int middle = (accepted + refused) >>> 1;
        if (accepts(option, middle)) {
          accepted = middle;
        } else {
          refused = middle;
        }
      }
      assertThat(whole || !accepts(option, accepted + 1e-9)).as(option.name()).isTrue();
      schema.put("maximum", accepted);
    }
  }

  private static ObjectNode schema(Option<?> option) {
    ObjectNode value = JSON.createObjectNode().put("type", type(option));
    if (!option.type().choices().isEmpty()) {
      value.set("enum", JSON.valueToTree(option.type().choices()));
    }
    if (List.of("integer", "number").contains(value.path("type").asText())) {
      addBounds(option, value);
    }
    ObjectNode schema = value;
    if (option.form() == Option.Form.MANY) {
      schema = JSON.createObjectNode().put("type", "array").set("items", value);
    }
    Object byDefault = option.byDefault();
    if (byDefault != null && !(byDefault instanceof Number) && !(byDefault instanceof Boolean)) {
      byDefault = option.form() == Option.Form.MANY ? byDefault : option.defaultText();
    }
    schema.set("default", JSON.valueToTree(byDefault));
    return schema.put("description", option.help());
  }

  private static ObjectNode schemas() {
    ObjectNode jobs = JSON.createObjectNode();
    for (TaskDefinition task : Tasks.ALL) {
      ObjectNode job = jobs.putObject(task.data().name());
      job.put("description", task.data().description());
      ObjectNode options = job.putObject("options");
      JobSpec.allOptions(task).forEach(option -> options.set(option.name(), schema(option)));
    }
    return jobs;
  }

  @Test
  void optionsAreThoseOfTheDefinitions() throws IOException {
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n"));
    String expected = JSON.writer(printer).writeValueAsString(schemas()) + "\n";
    String found = Files.exists(FILE) ? Files.readString(FILE) : "";
    if (Boolean.getBoolean("lakegen.write")) {
      Files.writeString(FILE, expected);
    }
    assertThat(found).isEqualTo(expected);
  }
}
