package io.lakegen.model;

import ai.djl.engine.Engine;
import java.util.LinkedHashMap;
import java.util.Map;

/** The engines of this machine. */
public final class EngineVersions {
  private EngineVersions() {}

  /** Versions of the native libraries that are loaded, by engine, or why one is not. */
  public static Map<String, String> read() {
    Devices.configureEngines(Runtime.getRuntime().availableProcessors());
    Map<String, String> versions = new LinkedHashMap<>();
    for (PackSpec.EngineName name : PackSpec.EngineName.values()) {
      String version;
      try {
        version = Engine.getEngine(name.name()).getVersion();
      } catch (RuntimeException | LinkageError e) {
        version = "not usable here (./lakegen doctor says why)";
      }
      versions.put(name.name(), version);
    }
    return versions;
  }
}
