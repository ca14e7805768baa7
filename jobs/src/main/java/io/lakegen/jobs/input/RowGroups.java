package io.lakegen.jobs.input;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collections;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.metadata.BlockMetaData;
import org.apache.parquet.hadoop.util.HadoopInputFile;

/** Where the row groups of the last Parquet file that was asked for begin. Used by one thread. */
final class RowGroups {
  private final Configuration conf;
  private String path = "";
  private List<Long> starts = List.of();

  RowGroups(Configuration conf) {
    this.conf = conf;
  }

  /**
   * The first place at or behind a byte of a file where it can be cut between row groups, or the
   * end of the range.
   */
  long cut(Address range, long at) {
    if (!path.equals(range.path())) {
      path = range.path();
      starts = starts(range.path());
    }
    int found = Collections.binarySearch(starts, at);
    int next = found >= 0 ? found : -found - 1;
    return next < starts.size() ? Math.min(starts.get(next), range.end()) : range.end();
  }

  private List<Long> starts(String file) {
    try (ParquetFileReader reader =
        ParquetFileReader.open(HadoopInputFile.fromPath(new Path(file), conf))) {
      return reader.getRowGroups().stream().map(BlockMetaData::getStartingPos).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
