package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lakegen.jobs.S3Server;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class S3ExclusiveFileTest extends ExclusiveFileContract {
  @TempDir static java.nio.file.Path temp;

  private static S3Server server;

  @BeforeAll
  static void startServer() throws IOException {
    server = S3Server.start(temp);
  }

  @AfterAll
  static void stopServer() {
    server.close();
  }

  @Override
  Path root() {
    return new Path(server.uri("exclusive"));
  }

  @Override
  Map<String, String> hadoopSettings() {
    return server.hadoopSettings();
  }

  @Override
  boolean replacesAtomically() {
    // S3Proxy looks at the etag before it writes.
    return false;
  }

  @Test
  void aStoreWithoutConditionalWritesIsRefusedWithWhatToDo() throws IOException {
    Configuration conf = server.configuration();
    conf.setBoolean("fs.s3a.create.conditional.enabled", false);
    Path path = new Path(root(), "refused.json");
    try (FileSystem fs = FileSystem.newInstance(path.toUri(), conf)) {
      assertThatThrownBy(() -> ExclusiveFile.create(fs, path, "x".getBytes(StandardCharsets.UTF_8)))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("refused.json: the file system does not have")
          .hasMessageContaining("fs.s3a.create.conditional.enabled=true");
      assertThat(fs.exists(path)).isFalse();
    }
  }
}
