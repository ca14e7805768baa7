package io.lakegen.model;

import java.io.IOException;
import java.net.URI;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;

/** The local disk as a remote store would look: counts what is opened, and breaks on demand. */
public final class CountingFileSystem extends RawLocalFileSystem {
  static final Map<String, Integer> OPENED = Collections.synchronizedMap(new LinkedHashMap<>());
  static final Set<String> UNREADABLE = ConcurrentHashMap.newKeySet();

  /** A configuration that knows the scheme {@code counting}. */
  static Configuration configuration() {
    Configuration conf = new Configuration();
    conf.setClass(
        "fs.counting.impl", CountingFileSystem.class, org.apache.hadoop.fs.FileSystem.class);
    return conf;
  }

  static String uri(java.nio.file.Path folder) {
    return "counting://" + folder.toAbsolutePath();
  }

  @Override
  public URI getUri() {
    return URI.create("counting:///");
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    OPENED.merge(path.getName(), 1, Integer::sum);
    if (UNREADABLE.contains(path.getName())) {
      throw new IOException("connection reset while reading " + path.getName());
    }
    return super.open(path, bufferSize);
  }
}
