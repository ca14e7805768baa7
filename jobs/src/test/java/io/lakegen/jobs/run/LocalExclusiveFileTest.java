package io.lakegen.jobs.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LocalExclusiveFileTest extends ExclusiveFileContract {
  @TempDir java.nio.file.Path temp;

  @Override
  Path root() {
    return new Path(temp.toUri());
  }

  @Override
  Map<String, String> hadoopSettings() {
    return Map.of();
  }

  @Test
  void checksumsThatHadoopWroteForAnEarlierFileDoNotBreakReads() throws IOException {
    FileSystem fs = FileSystem.getLocal(new Configuration());
    Path path = new Path(root(), "a.json");
    write(fs, path, "written by Hadoop");
    Files.delete(temp.resolve("a.json"));
    assertThat(temp.resolve(".a.json.crc")).exists();

    assertThat(ExclusiveFile.create(fs, path, "created".getBytes(StandardCharsets.UTF_8))).isTrue();
    assertThat(read(fs, path)).isEqualTo("created");

    Path other = new Path(root(), "b.json");
    write(fs, other, "written by Hadoop");
    assertThat(
            ExclusiveFile.replace(
                fs, other, fs.getFileStatus(other), "replaced it".getBytes(StandardCharsets.UTF_8)))
        .isTrue();
    assertThat(read(fs, other)).isEqualTo("replaced it");
  }

  private static void write(FileSystem fs, Path path, String text) throws IOException {
    try (FSDataOutputStream out = fs.create(path)) {
      out.write(text.getBytes(StandardCharsets.UTF_8));
    }
  }

  private static String read(FileSystem fs, Path path) throws IOException {
    try (FSDataInputStream in = fs.open(path)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
