package io.lakegen.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The figures of a benchmark, printed as the closing line {@code {"bench", "figures", "machine"}}.
 */
public final class Report {
  private final String bench;
  private final Map<String, Object> figures = new LinkedHashMap<>();

  /** A report without figures yet. */
  public Report(String bench) {
    this.bench = bench;
  }

  /** Adds a figure, to three digits behind the point, and shows it. */
  public void figure(String name, double value) {
    double rounded = Math.round(value * 1000) / 1000.0;
    figures.put(name, rounded);
    System.out.println(bench + ": " + name + " = " + rounded);
  }

  /** Prints the closing line. */
  public void print() throws JsonProcessingException {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("bench", bench);
    line.put("figures", figures);
    line.put("machine", machine());
    System.out.println(new ObjectMapper().writeValueAsString(line));
  }

  private static Map<String, Object> machine() {
    Map<String, Object> machine = new LinkedHashMap<>();
    machine.put("cores", Runtime.getRuntime().availableProcessors());
    machine.put("cpu", line("/proc/cpuinfo", "model name"));
    machine.put("memory", line("/proc/meminfo", "MemTotal"));
    machine.put("java", System.getProperty("java.version"));
    return machine;
  }

  /**
   * Memory of this process in MiB: {@code VmRSS} for now, {@code VmHWM} for the most it ever had.
   */
  public static double memory(String field) {
    return Double.parseDouble(line("/proc/self/status", field).replaceAll("[^0-9]", "")) / 1024;
  }

  private static String line(String file, String key) {
    try {
      return Files.readAllLines(Path.of(file)).stream()
          .filter(l -> l.startsWith(key))
          .map(l -> l.substring(l.indexOf(':') + 1).strip())
          .findFirst()
          .orElse("unknown");
    } catch (IOException e) {
      return "unknown";
    }
  }
}
