package io.lakegen.jobs.cli;

import io.lakegen.problem.Problems;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/** Reads the YAML file of {@code --config}. */
final class ConfigFile {
  private ConfigFile() {}

  /** Its keys and values; empty after reporting why it cannot be read. */
  static Map<String, Object> read(String file, Problems problems) {
    LoaderOptions options = new LoaderOptions();
    options.setAllowDuplicateKeys(false);
    // With aliases a few lines can stand for billions of values, or for a value that holds itself.
    options.setMaxAliasesForCollections(0);
    try (Reader reader = Files.newBufferedReader(Path.of(file))) {
      Object root = new Yaml(new SafeConstructor(options)).load(reader);
      if (root instanceof Map<?, ?> map) {
        Map<String, Object> values = new LinkedHashMap<>();
        map.forEach((key, value) -> values.put(String.valueOf(key), value));
        return values;
      }
      problems.add("config", file, "a YAML file of keys and values");
    } catch (NoSuchFileException e) {
      problems.add("config", file, "an existing file");
    } catch (IOException e) {
      problems.add(
          "config",
          file,
          "a readable UTF-8 file; " + e.getClass().getSimpleName() + ": " + e.getMessage());
    } catch (RuntimeException e) {
      // Besides its own, SnakeYAML answers values that do not fit their tags, such as !!int x or
      // !!set x, with any exception.
      problems.add(
          "config",
          file,
          "valid YAML; " + String.valueOf(e.getMessage()).replaceAll("\\s+", " ").strip());
    }
    return Map.of();
  }
}
