package io.lakegen.jobs;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.YAMLException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Turns the YAML file of {@code --config} into options that stand before those of the command line.
 */
final class ConfigFile {
  private ConfigFile() {}

  /**
   * The arguments of a job, with those of its configuration file in front.
   *
   * @param job the job's command
   * @param args arguments after the job's name
   */
  static List<String> expand(CommandSpec job, List<String> args, Problems problems) {
    List<String> expanded = new ArrayList<>();
    String file = value(args, "--config");
    if (file != null) {
      for (Map.Entry<?, ?> entry : load(file, problems).entrySet()) {
        String key = String.valueOf(entry.getKey());
        OptionSpec option = job.optionsMap().get("--" + key);
        if (option == null || key.equals("config") || key.equals("help") || key.equals("version")) {
          problems.add(
              file + ": " + key,
              "unknown key",
              "an option of " + job.name() + TextColumn.suggestion(key, keys(job)));
        } else if (args.stream()
            .noneMatch(a -> a.equals("--" + key) || a.startsWith("--" + key + "="))) {
          add(expanded, file, option, key, entry.getValue(), problems);
        }
      }
    }
    expanded.addAll(args);
    return expanded;
  }

  private static void add(
      List<String> args,
      String file,
      OptionSpec option,
      String key,
      Object value,
      Problems problems) {
    if (value instanceof List<?> values && option.isMultiValue()) {
      values.forEach(v -> add(args, file, option, key, v, problems));
    } else if (value == null || value instanceof Map || value instanceof List) {
      problems.add(
          file + ": " + key, value, "a single value" + (option.isMultiValue() ? " or a list" : ""));
    } else if (option.arity().max() > 0) {
      args.add("--" + key + "=" + value);
    } else if (value instanceof Boolean flag) {
      if (flag) {
        args.add("--" + key);
      }
    } else {
      problems.add(file + ": " + key, value, "true or false");
    }
  }

  private static Map<?, ?> load(String file, Problems problems) {
    LoaderOptions options = new LoaderOptions();
    options.setAllowDuplicateKeys(false);
    try (Reader reader = Files.newBufferedReader(Path.of(file))) {
      Object root = new Yaml(new SafeConstructor(options)).load(reader);
      if (root instanceof Map<?, ?> map) {
        return map;
      }
      problems.add("config", file, "a YAML file of keys and values");
    } catch (NoSuchFileException e) {
      problems.add("config", file, "an existing file");
    } catch (IOException e) {
      problems.add(
          "config",
          file,
          "a readable UTF-8 file; " + e.getClass().getSimpleName() + ": " + e.getMessage());
    } catch (YAMLException e) {
      problems.add("config", file, "valid YAML; " + e.getMessage().replaceAll("\\s+", " ").strip());
    }
    return Map.of();
  }

  private static String value(List<String> args, String option) {
    for (int i = 0; i < args.size(); i++) {
      if (args.get(i).startsWith(option + "=")) {
        return args.get(i).substring(option.length() + 1);
      }
      if (args.get(i).equals(option) && i + 1 < args.size()) {
        return args.get(i + 1);
      }
    }
    return null;
  }

  private static List<String> keys(CommandSpec job) {
    return job.optionsMap().keySet().stream()
        .flatMap(name -> Arrays.stream(new String[] {name}))
        .filter(name -> name.startsWith("--"))
        .map(name -> name.substring(2))
        .toList();
  }
}
