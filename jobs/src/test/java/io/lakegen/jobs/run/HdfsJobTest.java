package io.lakegen.jobs.run;

import io.lakegen.jobs.TestJobs;
import java.io.IOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** Jobs on HDFS. */
class HdfsJobTest extends FileSystemContract {
  @TempDir static java.nio.file.Path temp;

  private static MiniDFSCluster cluster;
  private static FileSystem fs;

  @BeforeAll
  static void start() throws IOException {
    Configuration conf = new Configuration();
    conf.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, temp.toString());
    conf.set("dfs.namenode.http-address", "127.0.0.1:0");
    cluster = new MiniDFSCluster.Builder(conf).numDataNodes(1).build();
    fs = cluster.getFileSystem();
    FileUtil.copy(
        FileSystem.getLocal(conf),
        new Path(LengthMain.PACK.toString()),
        fs,
        new Path("/pack"),
        false,
        conf);
  }

  @AfterAll
  static void stop() {
    cluster.shutdown();
  }

  @Override
  String uri(String path) {
    return fs.getUri() + "/" + path;
  }

  @Override
  SparkSession spark() {
    return TestJobs.spark();
  }

  @Override
  FileSystem fileSystem() {
    return fs;
  }
}
