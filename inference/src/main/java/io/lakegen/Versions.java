package io.lakegen;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The versions that Lakegen was built as and for; the parent pom states each once. */
public final class Versions {
  private static final Properties ALL = read();

  /** Of Lakegen itself. */
  public static final String LAKEGEN = ALL.getProperty("lakegen");

  /** Of the Deep Java Library. */
  public static final String DJL = ALL.getProperty("djl");

  private Versions() {}

  private static Properties read() {
    try (InputStream in = Versions.class.getResourceAsStream("versions.properties")) {
      Properties properties = new Properties();
      properties.load(in);
      return properties;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
