package io.lakegen.jobs.run;

import io.lakegen.spark.OutputSchema;
import io.lakegen.spark.PartitionScorer;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.hadoop.mapreduce.TaskAttemptID;
import org.apache.hadoop.mapreduce.TaskID;
import org.apache.hadoop.mapreduce.TaskType;
import org.apache.hadoop.mapreduce.task.TaskAttemptContextImpl;
import org.apache.spark.TaskContext;
import org.apache.spark.internal.io.FileCommitProtocol;
import org.apache.spark.internal.io.FileNameSpec;
import org.apache.spark.internal.io.SparkHadoopWriterUtils;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.execution.datasources.OutputWriter;
import org.apache.spark.sql.execution.datasources.OutputWriterFactory;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction2;

/**
 * A Spark task of a chunk: scores a partition, writes its good and its error rows to files of their
 * own, and commits them. Its result counts what it has committed, so that retried and speculative
 * attempts count once.
 */
final class ChunkTask
    extends AbstractFunction2<TaskContext, scala.collection.Iterator<InternalRow>, byte[]>
    implements Serializable {
  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(ChunkTask.class);

  private final PartitionScorer scorer;
  private final StructType scored;
  private final String indexColumn;
  private final FileCommitProtocol committer;
  private final String tracker;
  private final Target rows;
  private final Target errors;

  /**
   * A dataset that the tasks write to.
   *
   * @param folder relative to the committer's destination
   * @param schema of its rows: some of a scored row's columns
   * @param conf holds the schema, where the factory's writers look for it
   */
  record Target(
      String folder, StructType schema, OutputWriterFactory factory, SerializableConfiguration conf)
      implements Serializable {}

  /** What a task has committed: input rows, and files relative to the committer's destination. */
  record Outcome(
      FileCommitProtocol.TaskCommitMessage commit,
      Commit.Counts counts,
      Map<String, Long> errors,
      List<String> files)
      implements Serializable {}

  /**
   * @param scored schema of the scorer's rows
   * @param indexColumn tells the output rows of one input row apart; null where there is but one
   * @param tracker identifies the chunk's job
   */
  @SuppressWarnings("MissingSummary")
  ChunkTask(
      PartitionScorer scorer,
      StructType scored,
      String indexColumn,
      FileCommitProtocol committer,
      String tracker,
      Target rows,
      Target errors) {
    this.scorer = scorer;
    this.scored = scored;
    this.indexColumn = indexColumn;
    this.committer = committer;
    this.tracker = tracker;
    this.rows = rows;
    this.errors = errors;
  }

  @Override
  public byte[] apply(TaskContext task, scala.collection.Iterator<InternalRow> input) {
    TaskAttemptContext attempt = attempt(task, rows.conf().value());
    committer.setupTask(attempt);
    Writer good = new Writer(rows, task);
    Writer bad = new Writer(errors, task);
    try {
      long[] read = {0};
      Iterator<InternalRow> counted =
          new Iterator<>() {
            @Override
            public boolean hasNext() {
              return input.hasNext();
            }

            @Override
            public InternalRow next() {
              read[0]++;
              return input.next();
            }
          };
      if (task.partitionId() == 0) {
        // A reader finds the columns even where no row is good.
        good.open(attempt);
      }
      Iterator<InternalRow> out = scorer.call(counted);
      int error = scored.fieldIndex(OutputSchema.ERROR);
      int index = indexColumn == null ? -1 : scored.fieldIndex(indexColumn);
      long ok = 0;
      Map<String, Long> failed = new TreeMap<>();
      while (out.hasNext()) {
        InternalRow row = out.next();
        if (row.isNullAt(error)) {
          ok += index < 0 || row.getInt(index) == 0 ? 1 : 0;
          good.write(row, attempt);
        } else {
          InternalRow struct = row.getStruct(error, 3);
          failed.merge(struct.getString(0) + "/" + struct.getString(1), 1L, Long::sum);
          bad.write(row, attempt);
        }
      }
      good.close();
      bad.close();
      if (read[0] != ok + bad.written) {
        throw new IllegalStateException(
            read[0] + " rows were read (expected: " + ok + " good and " + bad.written + " failed)");
      }
      List<String> files = new ArrayList<>();
      files.addAll(good.files);
      files.addAll(bad.files);
      return TaskResult.write(
          new Outcome(
              committer.commitTask(attempt),
              new Commit.Counts(read[0], ok, bad.written, good.written),
              failed,
              files));
    } catch (Throwable failure) {
      for (Writer writer : List.of(good, bad)) {
        try {
          writer.close();
        } catch (Exception e) {
          LOG.debug("a file of a failed task did not close", e);
        }
      }
      committer.abortTask(attempt);
      throw sneaky(failure);
    }
  }

  @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"})
  private static <T extends Throwable> RuntimeException sneaky(Throwable failure) throws T {
    throw (T) failure;
  }

  private TaskAttemptContext attempt(TaskContext task, Configuration common) {
    Configuration conf = new Configuration(common);
    TaskID id =
        new TaskID(
            SparkHadoopWriterUtils.createJobID(tracker, task.stageId()),
            TaskType.MAP,
            task.partitionId());
    TaskAttemptID attempt = new TaskAttemptID(id, (int) (task.taskAttemptId() & Integer.MAX_VALUE));
    conf.set("mapreduce.job.id", id.getJobID().toString());
    conf.set("mapreduce.task.id", id.toString());
    conf.set("mapreduce.task.attempt.id", attempt.toString());
    conf.setBoolean("mapreduce.task.ismap", true);
    conf.setInt("mapreduce.task.partition", 0);
    return new TaskAttemptContextImpl(conf, attempt);
  }

  /** Writes some columns of the scored rows to a file that is opened when the first row comes. */
  private final class Writer {
    private final Target target;
    private final TaskContext task;
    private final int[] ordinals;
    private final StructField[] fields;
    private final List<String> files = new ArrayList<>();
    private OutputWriter out;
    private long written;

    Writer(Target target, TaskContext task) {
      this.target = target;
      this.task = task;
      this.fields = target.schema().fields();
      this.ordinals = Arrays.stream(fields).mapToInt(f -> scored.fieldIndex(f.name())).toArray();
    }

    void open(TaskAttemptContext attempt) {
      String path =
          committer.newTaskTempFile(
              attempt,
              Option.apply(target.folder()),
              FileNameSpec.apply("", ".c000" + target.factory().getFileExtension(attempt)));
      // The two schemas stand in the configuration, under one key.
      out =
          target.factory().newInstance(path, target.schema(), attempt(task, target.conf().value()));
      files.add(target.folder() + "/" + new Path(path).getName());
    }

    void write(InternalRow row, TaskAttemptContext attempt) {
      if (out == null) {
        open(attempt);
      }
      Object[] values = new Object[ordinals.length];
      for (int i = 0; i < values.length; i++) {
        int from = ordinals[i];
        if (fields[i].name().equals(OutputSchema.ERROR)) {
          values[i] = located(row, from);
        } else if (!row.isNullAt(from)) {
          values[i] = row.get(from, fields[i].dataType());
        }
      }
      out.write(new GenericInternalRow(values));
      written++;
    }

    void close() {
      if (out != null) {
        OutputWriter closing = out;
        out = null;
        closing.close();
      }
    }
  }

  /** The struct of an error row: the scorer's, and the file that the row stands in. */
  private InternalRow located(InternalRow row, int error) {
    InternalRow struct = row.getStruct(error, 3);
    return new GenericInternalRow(
        new Object[] {
          struct.getUTF8String(0),
          struct.getUTF8String(1),
          struct.getUTF8String(2),
          row.getUTF8String(scored.fieldIndex(OutputSchema.FILE))
        });
  }

  /** Scala's list of some Java list. */
  static <T> scala.collection.immutable.Seq<T> seq(List<T> list) {
    return CollectionConverters.asScala(list).toSeq();
  }
}
